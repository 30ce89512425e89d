import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Digest, digestFromBytes, digestFromHex } from '../../src/core/digest.ts';
import { PREFIX_MIN } from '../../src/core/file-search.ts';
import { usageError } from '../errors.ts';
import { fileError } from './tree/local-file.ts';

/** What is looked for in the store. */
export type FindQuery = { digest: Digest } | { name: string };

const HEX = /^(?:sha256:)?([0-9a-f]{64})$/i;

/**
 * What a person means: a digest, with or without `sha256:` before it; the bytes of a file that is here; else the name of a file.
 * @param asName it is a name, whatever is here
 * @throws CliError file_unreadable, wrong_usage
 */
export async function findQuery(named: string, asName: boolean, signal: AbortSignal): Promise<FindQuery> {
  if (named === '') throw usageError('Say what to look for: a file, a digest or a name.');
  if (asName) return nameQuery(named);
  const [, hex] = HEX.exec(named) ?? [];
  if (hex !== undefined) return { digest: digestFromHex(hex.toLowerCase()) };
  const isFile = await stat(named).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (isFile) return { digest: await digestOfFile(named, signal) };
  if (/^sha256:/i.test(named)) {
    throw usageError(
      `${JSON.stringify(named)} is no digest: sha256: has 64 hex digits after it.`,
      'Of a file with such a name: --name.',
    );
  }
  return nameQuery(named);
}

function nameQuery(name: string): FindQuery {
  if (name.includes('/')) {
    throw usageError(
      `There is no file ${JSON.stringify(name)} here, and a name in the store is the last segment of a path.`,
      `Write it like ${JSON.stringify(basename(name))}.`,
    );
  }
  if (name.endsWith('*') && [...name].length <= PREFIX_MIN) {
    throw usageError(`${JSON.stringify(name)} has fewer than ${PREFIX_MIN} characters before the *.`);
  }
  return { name };
}

async function digestOfFile(file: string, signal: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { signal })) hash.update(chunk as Buffer);
  } catch (error) {
    signal.throwIfAborted();
    throw fileError(file, error);
  }
  return digestFromBytes(hash.digest());
}
