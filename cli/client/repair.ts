import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Digest } from '../../src/core/digest.ts';
import type { LogicalPath } from '../../src/core/logical-path.ts';
import { CliError, EXIT } from '../errors.ts';
import type { ApiClient } from './api/api-client.ts';
import { fileObject } from './push/objects.ts';
import { Uploader } from './push/uploader.ts';
import { findFiles } from './tree/find-files.ts';
import { type FoundFile, identityOf } from './tree/local-file.ts';
import { Readers } from './tree/readers.ts';

export interface Repaired {
  /** Files that were read. */
  read: { files: number; bytes: number };
  /** Objects that the service needed, and their bytes. */
  sent: { objects: number; bytes: number };
}

/** Files that are read before the service is asked for them. */
const BATCH = 1_000;
const PARALLEL = 8;

/**
 * Reads files and sends the service those whose bytes it has lost, whatever they are called.
 * @throws CliError file_unreadable, file_changed, file_refused
 */
export async function repairFrom(client: ApiClient, named: readonly string[]): Promise<Repaired> {
  const files = (await Promise.all(named.map((operand) => filesOf(operand, client.signal)))).flat();
  const limits = await client.limits();
  const uploader = new Uploader({ client, packageId: null, limits, parallel: PARALLEL });
  const readers = new Readers();
  const asked = new Set<Digest>();
  try {
    for (let at = 0; at < files.length; at += BATCH) {
      const hashed = await readers.hash(files.slice(at, at + BATCH), limits);
      const fresh = hashed.filter(({ digest, size }) => size > 0 && !asked.has(digest) && asked.add(digest));
      await uploader.send(fresh.map((file) => fileObject(file, AS_IT_IS)));
    }
  } finally {
    uploader.close();
    await readers.stop();
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return {
    read: { files: files.length, bytes },
    sent: { objects: uploader.totals.objects, bytes: uploader.totals.bytes },
  };
}

/** Nothing is compressed on its way. */
const AS_IT_IS: Parameters<typeof fileObject>[1] = {
  makeAgain: () => Promise.reject(new RangeError('nothing was compressed')),
  letGo: () => {},
};

/** Of a directory all files; symlinks and the like in it are passed over. */
async function filesOf(operand: string, signal: AbortSignal): Promise<FoundFile[]> {
  const stats = await lstat(operand, { bigint: true }).catch((cause: Error) => {
    throw new CliError(`${JSON.stringify(operand)} cannot be read: ${cause.message}.`, {
      exit: EXIT.notFound,
      code: 'file_unreadable',
      cause,
    });
  });
  if (stats.isFile()) {
    const absolute = join(await realpath(dirname(operand)), basename(operand));
    return [{ path: operand as LogicalPath, absolute, size: Number(stats.size), identity: identityOf(stats) }];
  }
  if (!stats.isDirectory()) {
    throw new CliError(`${JSON.stringify(operand)} is neither a file nor a directory.`, {
      exit: EXIT.usage,
      code: 'file_refused',
      next: 'Name the files themselves, or a directory that holds them.',
    });
  }
  const { files } = await findFiles(operand, { symlinks: 'skip', special: 'skip' }, { signal });
  return [...files];
}
