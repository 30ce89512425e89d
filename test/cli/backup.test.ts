import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import Database from 'better-sqlite3';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

/** docs/operations.md “Back up and restore”, done for real on the folder and SQLite while packages come in. */
interface Halves {
  registry(): Promise<void>;
  blobs(): Promise<void>;
}

interface Scene {
  restored: string;
  /** Finalizes a package. */
  preserve(): Promise<string>;
}

const run = promisify(execFile);

/** A service with packages, backed up while it takes more, then lost; the backup as a data folder. */
async function backUpAndLose(
  t: ExecutionContext,
  backUp: (scene: Scene, halves: Halves) => Promise<void>,
): Promise<string> {
  const dir = await tempFolder(t);
  const data = join(dir, 'data');
  const backup = join(dir, 'backup');
  await mkdir(backup, { mode: 0o700 });
  const service = await startTestService({ dataDir: data });
  const api = apiOf(service.url);
  const preserve = () => api.preserve({ 'a.bin': randomBytes(100_000), 'b/ä.txt': randomBytes(10), empty: '' });
  await backUp(
    { restored: backup, preserve },
    {
      async registry() {
        const db = new Database(join(data, 'registry.sqlite'), { readonly: true });
        db.prepare('VACUUM INTO ?').run(join(backup, 'registry.sqlite'));
        db.close();
        await run('cp', [
          '-a',
          ...['format.json', 'signing.key', 'attestation.pem'].map((name) => join(data, name)),
          backup,
        ]);
      },
      blobs: async () => {
        const blobs = join(backup, 'blobs');
        await mkdir(blobs, { mode: 0o700 });
        const names = ['-mindepth', '1', '-maxdepth', '1', '!', '-name', 'uploads', '!', '-name', 'spool'];
        await run('find', [join(data, 'blobs'), ...names, '-exec', 'cp', '-a', '-t', blobs, '{}', '+']);
        const env = { ...process.env, LC_ALL: 'C' };
        await run('cp', ['-a', join(data, 'blobs/uploads'), blobs], { env }).catch((error) => {
          // Of each that ended while it was copied, and nothing else.
          if (!/^(cp: .*No such file or directory\n)+$/.test(error.stderr)) throw error;
        });
      },
    },
  );
  await service.dispose();
  await rm(data, { recursive: true });
  return backup;
}

async function verify(backup: string, id: string): Promise<number | null> {
  return (await runCli(['verify', id, '--local', '--data-dir', backup, '--json'])).code;
}

test('registry first, blobs after it: every package of the registry is whole', async (t) => {
  const before: string[] = [];
  const backup = await backUpAndLose(t, async ({ preserve }, halves) => {
    for (let count = 0; count < 3; count += 1) before.push(await preserve());
    let more = true;
    const coming = (async () => {
      while (more) await preserve();
    })();
    await halves.registry();
    await preserve();
    await halves.blobs();
    more = false;
    await coming;
  });
  const listed = (await runCli(['ls', '--local', '--data-dir', backup, '--json'])).json as {
    items: Array<{ id: string }>;
  };
  const ids = listed.items.map(({ id }) => id);
  for (const id of before) t.true(ids.includes(id));
  for (const id of ids) t.is(await verify(backup, id), 0, id);
  const doctor = await runCli(['doctor', '--local', '--data-dir', backup]);
  t.is(doctor.code, 0, doctor.stdout);
});

test('in the opposite order a package can lack its bytes, and verify reports it', async (t) => {
  let between = '';
  const backup = await backUpAndLose(t, async ({ preserve }, halves) => {
    await preserve();
    await halves.blobs();
    between = await preserve();
    await halves.registry();
  });
  t.not(await verify(backup, between), 0);
});
