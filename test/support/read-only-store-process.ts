import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { realFileLayer } from '../../src/blobs/file-layer.ts';
import { openFolderStore } from '../../src/blobs/fs-store.ts';
import { manifestKey } from '../../src/blobs/key-layout.ts';
import { urlSigner } from '../../src/blobs/url-signer.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';

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

const signer = urlSigner(randomBytes(32));
const store = await openFolderStore({
  root,
  files: realFileLayer,
  signer,
  checker: openCheckThread(),
  publicUrl: () => 'http://localhost',
});
const key = manifestKey(newId('pkg', Date.now()) as PackageId);
const before = (await store.health()).ok;
for (const dir of [join(root, 'spool'), root]) await chmod(dir, 0o500);
const write = await codeOf(store.writeObject(key, bytes()));
const spool = await codeOf(store.spool.receive(bytes()));
const health = (await store.health()).ok;
for (const dir of [root, join(root, 'spool')]) await chmod(dir, 0o700);
await store.writeObject(key, bytes());
console.log(JSON.stringify({ before, write, spool, health, after: (await store.health()).ok }));
