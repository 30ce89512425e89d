import { open } from 'node:fs/promises';
import { type Checkpoint, parseCheckpointText, readCheckpoint } from '../../../src/core/checkpoint.ts';
import { NoteError, openNote, type Verifier } from '../../../src/core/signed-note.ts';
import { KeyError, type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { CliError, EXIT } from '../../errors.ts';

/** What somebody kept of a log, or got of it: checkpoints, proofs, keys. */

/** A checkpoint and where it is from. */
export interface Evidence {
  /** The file's name; of what the service says, `the service`. */
  from: string;
  note: string;
  checkpoint: Checkpoint;
}

/** More is in none of these. */
const TEXT_MAX = 256 * 1024;

/** @throws CliError file_unreadable */
export async function readText(file: string): Promise<string> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(TEXT_MAX), 0, TEXT_MAX, 0);
      return buffer.subarray(0, bytesRead).toString('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new CliError(`${file} cannot be read (${why}).`, {
      exit: EXIT.failed,
      code: 'file_unreadable',
      extras: { path: file },
      cause: error,
    });
  }
}

/** @throws CliError file_unreadable, wrong_usage */
export async function readKey(file: string): Promise<PublicKey> {
  const text = await readText(file);
  try {
    return readPublicKey(text);
  } catch (error) {
    throw error instanceof KeyError ? notIt(`${file} ${error.message}`, EXIT.usage, 'wrong_usage') : error;
  }
}

/** @throws CliError file_unreadable; integrity_failure: it is no checkpoint, or one that none of these has signed */
export async function readKept(file: string, keys: readonly PublicKey[]): Promise<Evidence> {
  const note = await readText(file);
  return { from: file, note, checkpoint: signedCheckpoint(file, note, keys) };
}

/** @throws CliError integrity_failure */
export function signedCheckpoint(from: string, note: string, keys: readonly PublicKey[]): Checkpoint {
  return orRefused(from, () => {
    const { origin } = readCheckpoint(note);
    return parseCheckpointText(openNote(note, verifiersOf(origin, keys)).text);
  });
}

export function verifiersOf(name: string, keys: readonly PublicKey[]): Verifier[] {
  return keys.map((key) => ({ name, key }));
}

/** @throws CliError integrity_failure in the place of NoteError */
export function orRefused<T>(from: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof NoteError ? notIt(`${from} ${error.message}`, EXIT.integrity, 'integrity_failure') : error;
  }
}

function notIt(says: string, exit: CliError['exit'], code: CliError['code']): CliError {
  return new CliError(`${says}.`, { exit, code });
}
