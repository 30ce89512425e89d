import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { sampled } from '../support/long.ts';
import { processEnv } from '../support/process-env.ts';
import { contentOf, loseRegistry } from '../support/registry-content.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const PROCESS = fileURLToPath(new URL('../support/rebuild-process.ts', import.meta.url));

test('killed after any of its steps, a rebuild goes on, and ends with what an undisturbed one gives', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const { dataDir, env } = service;
  await api.preserve({ a: randomBytes(9), b: 'two' }, { external_id: 'x' });
  // More files than one transaction takes.
  const large = await api.create();
  const files = Array.from({ length: 6_500 }, (_, n) => ({ path: `f/${n}`, digest: sha256('same'), size: 4 }));
  for (let at = 0; at < files.length; at += 1_000)
    await api.post(`/v1/packages/${large}/files`, { files: files.slice(at, at + 1_000) });
  await api.store(large, { 'f/0': 'same' });
  t.is((await api.post(`/v1/packages/${large}/finalize`)).status, 200);
  const before = await api.preserve({ c: 'three' });
  await api.preserve({ c: 'four' }, { supersedes: before });
  await service.stop();

  await loseRegistry(env);
  const { steps } = await run(env, 0);
  t.true(steps >= 8, `${steps} steps`);
  const whole = await contentOf(env);
  for (const step of sampled(
    Array.from({ length: steps }, (_, nth) => nth + 1),
    4,
  )) {
    await loseRegistry(env);
    t.is((await run(env, step)).signal, 'SIGKILL');
    const refused = {
      code: 'rebuild_unfinished',
      message: /is not whole yet. Run `artifact-store rebuild --from-storage` again/,
    };
    await t.throwsAsync(startTestService({ dataDir }), refused);
    if (step === 1) {
      const compared = await runCli(['rebuild', '--compare', '--json'], { env });
      t.like(compared, { code: 4, json: { error: { code: 'store_refused' } } });
    }
    const rest = await run(env, 0);
    t.true(rest.steps < steps, `${rest.steps} steps after ${step}`);
    t.deepEqual(await contentOf(env), whole, `after ${step} steps`);
  }
  const again = await startTestService({ dataDir });
  t.teardown(() => again.stop());
  t.is((await apiOf(again.url).get(`/v1/packages/${large}/files/f/6499?redirect=false`)).body, 'same');
});

test('beside a service that has the folder, nothing is rebuilt or compared', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(join(folder, 'run'), { a: 'one' });
  const env = { XDG_CACHE_HOME: join(folder, 'cache'), ARTIFACT_STORE_DATA_DIR: join(folder, 'data') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  t.is((await cli('push', 'run', '--producer', 'tests', '--local', '--data-dir', 'data')).code, 0);
  const held = await startTestService({ dataDir: join(folder, 'data') });
  t.teardown(() => held.stop());
  const refused = await cli('rebuild', '--compare', '--json');
  t.like(refused, { code: 4, json: { error: { code: 'data_folder' } } });
});

test('what it prints: each number, what is wrong, and what to do', async (t) => {
  const folder = await tempFolder(t);
  const env = { XDG_CACHE_HOME: join(folder, 'cache'), ARTIFACT_STORE_DATA_DIR: join(folder, 'data') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  await writeTree(join(folder, 'run'), { a: 'one', 'dir/b.log': 'two\n'.repeat(9_999) });
  t.is((await cli('push', 'run', '--producer', 'tests', '--local', '--data-dir', 'data')).code, 0);
  for (const wrong of [['rebuild'], ['rebuild', '--compare', '--from-storage']]) t.is((await cli(...wrong)).code, 2);
  const there = await cli('rebuild', '--from-storage', '--json');
  t.like(there, { code: 4, json: { error: { code: 'store_refused' } } });
  t.regex(
    (await cli('rebuild', '--compare')).stdout,
    /^Registry and store agree \(1 package, 1 decision, \d objects? compared\)\.\n$/,
  );

  await loseRegistry(env);
  const lost = await cli('ls', '--local', '--data-dir', 'data');
  t.is(lost.code, 4);
  t.regex(lost.stderr, /fill an empty one from the store with `artifact-store rebuild --from-storage`/);
  const rebuilt = await cli('rebuild', '--from-storage');
  t.is(rebuilt.code, 0);
  t.regex(
    rebuilt.stdout,
    /^The registry is filled from its store in [\d.]+ m?s: all that packages need is there\.\n {2}packages {3}1 finalized, 0 deleted\n {2}files {6}2\n {2}decisions {2}1\n {2}objects {4}\d, 1 of them packs; [\d.]+ k?B read\nSweeps do not act before `sweep --reconcile`\.\n$/,
  );
  t.is((await cli('ls', '--local', '--data-dir', 'data', '--json')).json.items.length, 1);

  await rename(join(folder, 'data/blobs/objects'), join(folder, 'kept'));
  await loseRegistry(env);
  const bare = await cli('rebuild', '--from-storage');
  t.is(bare.code, 5);
  t.regex(bare.stdout, /NOT all that packages need is there\.\n/);
  t.regex(
    bare.stdout,
    /missing bytes {2}2: no object has them: push the same files again, or restore the store\n +sha256:/,
  );
  await rm(join(folder, 'data/registry.sqlite'));
  await writeFile(join(folder, 'data/registry.sqlite'), '');
  await rename(join(folder, 'kept'), join(folder, 'data/blobs/objects'));
  t.is((await cli('rebuild', '--from-storage')).code, 0, 'an empty file is an empty registry');
});

interface Ended {
  signal: NodeJS.Signals | null;
  /** How many it took. */
  steps: number;
}

/** @param steps after which it is killed; 0: never */
function run(env: Record<string, string>, steps: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [PROCESS, String(steps)], { env: processEnv(env) }, (error, stdout, stderr) => {
      const signal = (error as { signal?: NodeJS.Signals } | null)?.signal ?? null;
      if (error !== null && signal === null) reject(new Error(stderr));
      else resolve({ signal, steps: Number(stdout) });
    });
  });
}
