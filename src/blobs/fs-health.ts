import type { BlobHealth } from './blob-store.ts';
import type { FileLayer } from './file-layer.ts';
import { storageError } from './fs-errors.ts';
import { discardFile, privateName } from './private-file.ts';

/** Held by the code of this backend, whatever the file system: every byte is hashed on arrival, and `link` replaces nothing. */
const HELD = {
  part_digest_enforced: true,
  object_overwrite_refused: true,
  completion_exclusive: true,
  download_range_enforced: true,
};

/** Writes and removes a small file. Never throws. @param directory gives the folder to write in, checked */
export async function checkFolderHealth(
  files: FileLayer,
  root: string,
  directory: () => Promise<string>,
): Promise<BlobHealth> {
  const started = performance.now();
  const free_bytes = await freeBytes(files, root);
  const problem = await tryToWrite(files, directory);
  return {
    kind: 'folder',
    ok: problem === null,
    latency_ms: Math.round((performance.now() - started) * 100) / 100,
    free_bytes,
    capabilities: { writable: problem === null, ...HELD },
    ...(problem === null ? {} : { error: problem }),
  };
}

async function freeBytes(files: FileLayer, root: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await files.statfs(root);
    return bavail * bsize;
  } catch {
    return null;
  }
}

async function tryToWrite(files: FileLayer, directory: () => Promise<string>): Promise<string | null> {
  try {
    const file = privateName(await directory());
    const handle = await files.create(file);
    try {
      await handle.write(Buffer.from('artifact-store\n'));
      await handle.sync();
    } finally {
      await handle.close();
      await discardFile(files, file);
    }
    return null;
  } catch (error) {
    const told = storageError(error, 'writing a small file');
    const { cause, message } = told as Error;
    return cause instanceof Error ? `${message} ${cause.message}` : message;
  }
}
