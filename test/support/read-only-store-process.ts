import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestKey } from '../../src/blobs/key-layout.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { openBareStore } from './bare-store.ts';

/** Opens a store, takes the right to write away and gives it back, and says in one line of JSON what the store said. */
const [, , root = '', user] = process.argv;
if (user === 'nobody') {
  process.setgroups?.([]);
  process.setgid?.(65_534);
  process.setuid?.(65_534);
}

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{}');
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error) => String(error.code),
  );

const store = await openBareStore(root);
const key = manifestKey(newId('pkg', Date.now()) as PackageId);
const before = (await store.health()).ok;
for (const dir of [join(root, 'spool'), root]) await chmod(dir, 0o500);
const write = await codeOf(store.objects.write(key, bytes()));
const spool = await codeOf(store.spool.receive(bytes()));
const health = (await store.health()).ok;
for (const dir of [root, join(root, 'spool')]) await chmod(dir, 0o700);
await store.objects.write(key, bytes());
console.log(JSON.stringify({ before, write, spool, health, after: (await store.health()).ok }));
