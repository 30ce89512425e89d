import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { DataFolderError, type DataFolderErrorCode, openDataFolder } from '../../src/blobs/data-folder.ts';
import { type FileLayer, realFileLayer } from '../../src/blobs/file-layer.ts';
import { lookAtDataFolder } from '../../src/blobs/look-at-data-folder.ts';
import { type EffectName, errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { tempFolder } from '../support/temp.ts';

const HOLDER = fileURLToPath(new URL('../support/data-folder-process.ts', import.meta.url));
const NOBODY = 65_534;
/** While it is open. */
const CONTENT = ['attestation.pem', 'blobs', 'format.json', 'holder.json', 'lock.sqlite', 'signing.key'];

async function refused(
  t: ExecutionContext,
  code: DataFolderErrorCode,
  dir: string,
  opening: Promise<unknown> = openDataFolder(dir),
): Promise<string> {
  const error = await t.throwsAsync(opening, { instanceOf: DataFolderError });
  t.is((error as DataFolderError | undefined)?.code, code, error?.message);
  t.true(error?.message.includes(dir), error?.message);
  return error?.message ?? '';
}

/** Another process that opens the folder and says how that went, as a line of JSON; it holds on until it is killed. */
async function openElsewhere(
  t: ExecutionContext,
  dir: string,
  asNobody = false,
): Promise<{ child: ChildProcess; said: { code?: string; message?: string; opened?: boolean } }> {
  const child = spawn(process.execPath, [HOLDER, dir, ...(asNobody ? ['nobody'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  const [line] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')) as [string];
  return { child, said: JSON.parse(line) };
}

test('a folder is made with what it needs, for its owner alone, and is the same when it is opened again', async (t) => {
  const dir = join(await tempFolder(t), 'deep', 'data');
  const folder = await openDataFolder(dir);
  t.is(folder.dir, dir);
  t.is(folder.blobsDir, join(dir, 'blobs'));
  t.is(folder.registryFile, join(dir, 'registry.sqlite'));
  t.is(folder.signingKey.length, 32);
  const mode = async (name: string): Promise<number> => (await stat(join(dir, name))).mode & 0o777;
  t.is(await mode('.'), 0o700);
  t.is(await mode('blobs'), 0o700);
  for (const key of ['signing.key', 'attestation.pem']) t.is(await mode(key), 0o600);
  t.deepEqual(JSON.parse(await readFile(join(dir, 'format.json'), 'utf8')), { format: 'artifact-store/data/v1' });
  t.deepEqual((await readdir(dir)).sort(), CONTENT);
  await folder.close();
  t.false((await readdir(dir)).includes('holder.json'));
  const again = await openDataFolder(dir);
  t.deepEqual(again.signingKey, folder.signingKey);
  t.is(again.attestationKey, folder.attestationKey);
  await again.close();
});

test('a folder that is open is refused, in this process and in others, naming who has it', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const folder = await openDataFolder(dir);
  t.regex(await refused(t, 'in_use', dir), new RegExp(`process ${process.pid}\\b`));
  await folder.announce('http://127.0.0.1:8420');
  const { said } = await openElsewhere(t, dir);
  t.is(said.code, 'in_use');
  t.regex(said.message ?? '', new RegExp(`process ${process.pid} at http://127.0.0.1:8420`));
  await refused(t, 'in_use', dir);
  await folder.close();
  const next = await openElsewhere(t, dir);
  t.true(next.said.opened);
});

test('kill -9 frees the folder, and what the killed process had begun is gone', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const { child, said } = await openElsewhere(t, dir);
  t.true(said.opened);
  t.regex(await refused(t, 'in_use', dir), new RegExp(`process ${child.pid}\\b`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await writeFile(join(dir, `.new-${'0'.repeat(32)}`), 'half of something');
  const folder = await openDataFolder(dir);
  t.false((await readdir(dir)).some((name) => name.startsWith('.new-')));
  await folder.close();
});

test('of processes that open a new folder at once one gets it', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const opened = await Promise.allSettled(Array.from({ length: 5 }, () => openDataFolder(dir)));
  const holders = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  t.is(holders.length, 1);
  for (const { reason } of opened.filter((result) => result.status === 'rejected')) t.is(reason.code, 'in_use');
  await holders[0]?.close();
});

test('a folder of another version is refused, and is not touched', async (t) => {
  const dir = await tempFolder(t);
  await writeFile(join(dir, 'format.json'), '{"format":"artifact-store/data/v2"}');
  t.regex(await refused(t, 'wrong_version', dir), /data\/v2/);
  t.deepEqual(await readdir(dir), ['format.json']);
});

test('a folder of something else, a file, or a format.json of somebody else is refused, and is not touched', async (t) => {
  const dir = await tempFolder(t);
  await writeFile(join(dir, 'thesis.tex'), '');
  t.regex(await refused(t, 'not_a_data_folder', dir), /thesis\.tex/);
  t.deepEqual(await readdir(dir), ['thesis.tex']);
  await refused(t, 'not_a_data_folder', join(dir, 'thesis.tex'));
  await refused(t, 'not_a_data_folder', join(dir, 'thesis.tex', 'data'));
  for (const text of ['', '{}', '[]', 'null', '{"format":1}', '{"format":"something else"}', 'not JSON']) {
    const other = await tempFolder(t);
    await writeFile(join(other, 'format.json'), text);
    await refused(t, 'not_a_data_folder', other);
  }
});

test('a new volume and a symlink to a folder are taken', async (t) => {
  const dir = await tempFolder(t);
  await mkdir(join(dir, 'volume', 'lost+found'), { recursive: true });
  await symlink(join(dir, 'volume'), join(dir, 'link'));
  await (await openDataFolder(join(dir, 'link'))).close();
  t.true((await readdir(join(dir, 'volume'))).includes('format.json'));
});

test('a signing key that lost bytes is named, not replaced', async (t) => {
  const dir = await tempFolder(t);
  await (await openDataFolder(dir)).close();
  await writeFile(join(dir, 'signing.key'), 'short');
  t.regex(await refused(t, 'not_a_data_folder', dir), /signing\.key has 5 bytes/);
  t.is(await readFile(join(dir, 'signing.key'), 'utf8'), 'short');
});

for (const key of ['signing.key', 'attestation.pem']) {
  test(`${key} is durable, bytes and name, before anything is signed with it`, async (t) => {
    const dir = await tempFolder(t);
    const { files, effects } = recordingFileLayer();
    await (await openDataFolder(dir, files)).close();
    const link = effects.findIndex(({ name, to }) => name === 'link' && to === join(dir, key));
    const temporary = effects[link]?.path;
    const before = effects.slice(0, link).filter(({ path }) => path === temporary);
    t.deepEqual(
      before.map(({ name }) => name),
      ['create', 'write', 'sync', 'close'],
    );
    t.true(effects.slice(link).some(({ name, path }) => name === 'syncDirectory' && path === dir));
  });
}

test('another attestation key takes the place of the first one, and is there after a start', async (t) => {
  const dir = await tempFolder(t);
  const folder = await openDataFolder(dir);
  const replaced = await folder.replaceAttestationKey();
  t.not(replaced, folder.attestationKey);
  await folder.close();
  const again = await openDataFolder(dir);
  t.is(again.attestationKey, replaced);
  await again.close();
});

test('a start that fails at any effect leaves a folder that the next start accepts', async (t) => {
  const names: EffectName[] = ['create', 'write', 'sync', 'link', 'mkdir', 'syncDirectory', 'rename'];
  for (const name of names) {
    const dir = await tempFolder(t);
    const { files } = recordingFileLayer((effect) => {
      if (effect.name === name) throw errno('ENOSPC');
    });
    await refused(t, 'not_writable', dir, openDataFolder(dir, files));
    const folder = await openDataFolder(dir);
    t.is(folder.signingKey.length, 32);
    t.deepEqual((await readdir(dir)).sort(), CONTENT);
    await folder.close();
  }
});

// Root may write everywhere, so these open the folder as an unprivileged user.
const asNobody = process.getuid?.() === 0;

async function give(t: ExecutionContext, name: string): Promise<string> {
  const parent = await tempFolder(t);
  const dir = join(parent, name);
  await mkdir(dir);
  for (const path of [parent, dir]) {
    if (asNobody) await chown(path, NOBODY, NOBODY);
  }
  return dir;
}

test('a folder that cannot be written is not_writable, naming it, before and after it was a data folder', async (t) => {
  const dir = await give(t, 'data');
  await chmod(dir, 0o500);
  const { said } = await openElsewhere(t, dir, asNobody);
  t.is(said.code, 'not_writable', said.message);
  t.true(said.message?.includes(dir));
  await chmod(dir, 0o700);
  const opened = await openElsewhere(t, dir, asNobody);
  t.true(opened.said.opened, opened.said.message);
  opened.child.kill('SIGKILL');
  await once(opened.child, 'exit');
  await chmod(dir, 0o500);
  t.is((await openElsewhere(t, dir, asNobody)).said.code, 'not_writable');
  await chmod(dir, 0o700);
  await chmod(join(dir, 'lock.sqlite'), 0o400);
  t.is((await openElsewhere(t, dir, asNobody)).said.code, 'not_writable', 'a lock that cannot be taken is not shared');
  await chmod(join(dir, 'lock.sqlite'), 0o600);
  await chmod(join(dir, 'blobs'), 0o500);
  t.is((await openElsewhere(t, dir, asNobody)).said.code, 'not_writable');
  await chmod(join(dir, 'blobs'), 0o700);
  await chmod(dir, 0o000);
  t.is((await openElsewhere(t, dir, asNobody)).said.code, 'not_writable');
  await chmod(dir, 0o700);
});

if (asNobody) {
  test("root leaves nothing in the folder of the service's user, and is told to be that user", async (t) => {
    const dir = await give(t, 'data');
    const held = await openElsewhere(t, dir, true);
    const content = await readdir(dir);
    t.true((await refused(t, 'other_owner', dir)).includes(`sudo -u '#${NOBODY}'`), 'even while it is in use');
    held.child.kill('SIGKILL');
    await once(held.child, 'exit');
    await refused(t, 'other_owner', dir, lookAtDataFolder(dir));
    await refused(t, 'other_owner', dir);
    t.deepEqual(await readdir(dir), content);
    for (const name of content) t.is((await stat(join(dir, name))).uid, NOBODY, name);
    // As the message says: from now on it is root's.
    for (const name of await readdir(dir, { recursive: true })) await chown(join(dir, name), 0, 0);
    await (await openDataFolder(dir)).close();
  });

  test('where the file system gives all files one owner, whoever writes them, anybody is that owner', async (t) => {
    const dir = await give(t, 'data');
    const held = await openElsewhere(t, dir, true);
    held.child.kill('SIGKILL');
    await once(held.child, 'exit');
    const create: FileLayer['create'] = async (path) => {
      const file = await realFileLayer.create(path);
      await chown(path, NOBODY, NOBODY);
      return file;
    };
    const folder = await openDataFolder(dir, { ...realFileLayer, create });
    t.is(folder.dir, dir);
    await folder.close();
  });
}

test('a folder cannot be made where this user may not', async (t) => {
  const parent = await give(t, 'parent');
  await chmod(parent, 0o500);
  const { said } = await openElsewhere(t, join(parent, 'data'), asNobody);
  t.is(said.code, 'not_writable', said.message);
  t.true(said.message?.includes(join(parent, 'data')));
  await chmod(parent, 0o700);
});
