import { randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CliError, EXIT } from '../../errors.ts';

/** @throws CliError file_differs when something else stands there */
export async function assertFree(file: string, bytes: Buffer): Promise<void> {
  const standing = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw refused(file, error);
  });
  if (standing === null || standing.equals(bytes)) return;
  throw new CliError(`${file} exists and is not this attestation: it is not replaced.`, {
    exit: EXIT.refused,
    code: 'file_differs',
    next: 'Name another file, or move that one away.',
    extras: { path: file },
  });
}

/** All of the bytes or nothing, and on the disk when it returns; the same again is harmless. @throws CliError file_differs, failed */
export async function saveAttestation(file: string, bytes: Buffer): Promise<void> {
  const temporary = join(dirname(file), `.artifact-store-${randomBytes(8).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw refused(file, error as NodeJS.ErrnoException);
    await assertFree(file, bytes);
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

function refused(file: string, error: NodeJS.ErrnoException): CliError {
  return new CliError(`${file} cannot be written (${error.code ?? error.message}).`, {
    exit: EXIT.failed,
    code: 'failed',
    extras: { path: file },
  });
}
