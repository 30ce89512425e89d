import type { Package } from '../../src/api/types.ts';
import type { ApiClient } from './api-client.ts';
import { compareFiles, type Differences } from './compare.ts';
import { packageFiles } from './package-files.ts';
import { Readers } from './readers.ts';
import { type WalkOptions, walk } from './walk.ts';

/** What a directory has that the package has not, and the other way round: by path and bytes. */
export async function compareDirectory(
  client: ApiClient,
  pkg: Package,
  directory: string,
  options: Pick<WalkOptions, 'symlinks' | 'special'>,
): Promise<Differences> {
  const found = await walk(directory, { ...options, signal: client.signal });
  const theirs = await packageFiles(client, pkg);
  const limits = await client.limits();
  const readers = new Readers();
  try {
    return compareFiles(theirs, await readers.hash([...found], limits));
  } finally {
    await readers.stop();
  }
}
