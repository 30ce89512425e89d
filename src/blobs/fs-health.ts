import type { BlobHealth, Finding } from './blob-store.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { storageError } from './fs-errors.ts';
import { discardFile, privateName } from './private-file.ts';

/** Held by the code of this backend, whatever the file system: every byte is hashed on arrival, and `link` replaces nothing. */
const HELD = {
  part_digest_enforced: 'A part URL accepts only the bytes that it was signed for.',
  object_overwrite_refused: 'A committed object cannot be replaced.',
  completion_exclusive: 'If completions race, one creates the object and the others change nothing.',
  download_range_enforced: 'A download URL for a range returns only that range.',
};

const FINDINGS: readonly Finding[] = Object.entries(HELD).map(([guarantee, says]) => ({
  guarantee,
  held: true,
  weight: 'failure',
  short: says,
  says,
  advice: null,
}));

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
    place: root,
    ok: problem === null,
    latency_ms: Math.round((performance.now() - started) * 100) / 100,
    free_bytes,
    guarantees: {
      writable: problem === null,
      ...Object.fromEntries(FINDINGS.map(({ guarantee, held }) => [guarantee, held])),
    },
    findings: [...FINDINGS],
    ...(problem === null ? {} : { error: problem.detail, error_code: problem.code }),
  };
}

/** Bytes that this user may still write there; null where the file system does not tell. */
export async function freeBytes(files: FileLayer, root: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await files.statfs(root);
    return bavail * bsize;
  } catch {
    return null;
  }
}

async function tryToWrite(
  files: FileLayer,
  directory: () => Promise<string>,
): Promise<{ detail: string; code: string } | null> {
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
    const code = hasErrno(cause) ? (cause.code ?? '') : 'unavailable';
    return { detail: cause instanceof Error ? `${message} ${cause.message}` : message, code };
  }
}
