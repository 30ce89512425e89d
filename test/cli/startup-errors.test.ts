import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { type CliOptions, runCli } from '../support/cli-child.ts';
import { processEnv } from '../support/process-env.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** `serve` that cannot start: one message on stderr that names the thing, an exit code, no stack trace, and no rest. */
interface Refusal {
  exit: number;
  names: Array<string | RegExp>;
}

const free = ['--port', '0'];

async function refused(t: ExecutionContext, args: string[], { exit, names }: Refusal, options: CliOptions = {}) {
  const told = await runCli(['serve', ...args], options);
  t.is(told.code, exit, told.stderr);
  t.is(told.stdout, '');
  t.regex(told.stderr, /^artifact-store: [^\n]+\n$/, 'one line');
  t.notRegex(told.stderr, /\bat .*:\d+:\d+|Error:|\.ts\b|node:internal/, 'no stack trace');
  for (const name of names) {
    if (typeof name === 'string') t.true(told.stderr.includes(name), `${told.stderr} names ${name}`);
    else t.regex(told.stderr, name);
  }
  return told.stderr;
}

test.serial('a port in use', async (t) => {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => new Promise<void>((closed) => server.close(() => closed())));
  const { port } = server.address() as AddressInfo;
  const dir = join(await tempFolder(t), 'data');
  const names = [`Port ${port}`, '127.0.0.1', 'ARTIFACT_STORE_PORT'];
  await refused(t, ['--port', String(port), '--data-dir', dir], { exit: 2, names });
  // The data folder was let go.
  t.false((await readdir(dir)).includes('holder.json'));
  await (await startTestService({ dataDir: dir })).dispose();
});

test.serial('an address that is not of this machine', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const env = { ARTIFACT_STORE_ADMIN_TOKEN: 'x'.repeat(16) };
  const args = ['--host', '192.0.2.1', ...free, '--data-dir', dir];
  await refused(t, args, { exit: 2, names: ['192.0.2.1', 'ARTIFACT_STORE_HOST'] }, { env });
});

test.serial('a host that other machines can reach, without a token', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const names = ['ARTIFACT_STORE_HOST', '0.0.0.0', 'ARTIFACT_STORE_ADMIN_TOKEN'];
  await refused(t, ['--host', '0.0.0.0', ...free, '--data-dir', dir], { exit: 2, names });
});

test.serial('a data folder of another version', async (t) => {
  const dir = await tempFolder(t);
  const format = '{"format": "artifact-store/data/v99"}\n';
  await writeTree(dir, { 'format.json': format });
  const names = [dir, 'artifact-store/data/v99', 'artifact-store/data/v1'];
  await refused(t, [...free, '--data-dir', dir], { exit: 4, names });
  t.deepEqual(await readdir(dir), ['format.json'], 'it is left as it was');
  t.is(await readFile(join(dir, 'format.json'), 'utf8'), format);
});

test.serial('a data folder in use names who holds it', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const names = [service.dataDir, `process ${process.pid}`, service.url];
  await refused(t, [...free, '--data-dir', service.dataDir], { exit: 4, names });
  t.is((await fetch(`${service.url}/readyz`)).status, 200, 'the holder goes on');
});

test.serial('a folder that contains other things', async (t) => {
  const dir = await tempFolder(t);
  await writeTree(dir, { 'thesis.tex': 'mine' });
  const names = [dir, 'thesis.tex', 'ARTIFACT_STORE_DATA_DIR'];
  const told = await refused(t, [...free, '--data-dir', dir], { exit: 4, names });
  t.deepEqual(await readdir(dir), ['thesis.tex'], 'nothing was put there');
  const json = await runCli(['serve', '--data-dir', dir, '--json']);
  t.is(json.stderr, '');
  t.like(json.json.error, { code: 'data_folder', exit: 4 });
  t.is(`artifact-store: ${json.json.error.message}\n`, told);
});

test.serial('a file where the data folder should be, and below one', async (t) => {
  const file = join(await tempFolder(t), 'data');
  await writeFile(file, 'a file');
  for (const dir of [file, join(file, 'below')]) {
    await refused(t, [...free, '--data-dir', dir], { exit: 4, names: [dir] });
  }
});

test.serial('a signing key of another length', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  await (await startTestService({ dataDir: dir })).dispose();
  await chmod(join(dir, 'signing.key'), 0o600);
  await writeFile(join(dir, 'signing.key'), 'short');
  const names = [join(dir, 'signing.key'), '5 bytes'];
  await refused(t, [...free, '--data-dir', dir], { exit: 4, names });
});

test.serial('a registry that is damaged, or of a newer version', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const service = await startTestService({ dataDir: dir });
  await service.dispose();
  const db = connectSqlite(join(dir, 'registry.sqlite'));
  await db('knex_migrations').insert({ name: '9999_from_the_future', batch: 9, migration_time: Date.now() });
  await db.destroy();
  const newer = { exit: 1, names: [/newer artifact-store/, '9999_from_the_future', /upgrade/] };
  await refused(t, [...free, '--data-dir', dir], newer);
  await writeFile(join(dir, 'registry.sqlite'), 'no database at all'.repeat(1_000));
  await refused(t, [...free, '--data-dir', dir], { exit: 1, names: [join(dir, 'registry.sqlite')] });
});

const BAD_VARIABLES: Array<[string, string]> = [
  ['ARTIFACT_STORE_PORT', 'http'],
  ['ARTIFACT_STORE_LOG_LEVEL', 'loud'],
  ['ARTIFACT_STORE_CORS_ORIGINS', '*'],
  ['ARTIFACT_STORE_S3_BUCKET', 'No Bucket'],
  ['ARTIFACT_STORE_DATABASE_URL', 'mysql://store@db/store'],
  ['ARTIFACT_STORE_RETENTION_CLASSES', '/nowhere/classes.json'],
  ['ARTIFACT_STORE_PROT', '8420'],
];
for (const [name, value] of BAD_VARIABLES) {
  test.serial(`${name}=${value}`, async (t) => {
    const dir = join(await tempFolder(t), 'data');
    const args = name.endsWith('_PORT') ? [] : free;
    const refusal = { exit: 2, names: [name] };
    await refused(t, [...args, '--data-dir', dir], refusal, { env: { [name]: value } });
    await t.throwsAsync(readdir(dir), { code: 'ENOENT' }, 'no data folder was made');
  });
}

// Root may write everywhere, so that this `serve` is somebody else's.
const AS_NOBODY = resolve(import.meta.dirname, '../support/serve-as-nobody.ts');
const NOBODY = 65_534;

async function serveAsNobody(args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [AS_NOBODY, 'serve', ...free, ...args], {
    env: processEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const told = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      told[name] += chunk;
    });
  }
  const code = await new Promise<number | null>((ended) => child.once('close', ended));
  return { code, ...told };
}

test.serial('a data folder that may not be written', async (t) => {
  const parent = await tempFolder(t);
  const dir = join(parent, 'data');
  await mkdir(dir);
  if (process.getuid?.() === 0) for (const path of [parent, dir]) await chown(path, NOBODY, NOBODY);
  const readOnly = async (path: string, dataDir: string): Promise<void> => {
    await chmod(path, 0o500);
    const { code, stdout, stderr } = await serveAsNobody(['--data-dir', dataDir]);
    await chmod(path, 0o700);
    t.is(code, 4, stderr);
    t.is(stdout, '');
    t.regex(stderr, /^artifact-store: The data folder [^\n]+ cannot be used [^\n]+ARTIFACT_STORE_DATA_DIR[^\n]+\n$/);
    t.true(stderr.includes(dataDir));
    t.notRegex(stderr, /\bat .*:\d+:\d+/);
  };
  await readOnly(dir, dir);
  t.deepEqual(await readdir(dir), []);
  await readOnly(parent, join(parent, 'new'));
});
