import type { Package } from '../../src/api/types.ts';
import type { ApiClient } from './api/api-client.ts';
import { packageFiles, splitRemoved } from './api/package-files.ts';
import { compareFiles, type Differences } from './compare.ts';
import { type FindOptions, findFiles } from './tree/find-files.ts';
import { Readers } from './tree/readers.ts';

/** How a directory compares with a package. */
export interface Comparison {
  differences: Differences;
  /** What was not compared: entries of the directory, and files of the package that match what is excluded there. */
  leftOut: { directory: number; package: number };
}

/**
 * The differences between a directory and a package, by path and bytes. Excluded files are left out on both sides; the directory may
 * lack files that were removed from the package, as one into which it was pulled does.
 */
export async function compareDirectory(
  client: ApiClient,
  pkg: Package,
  directory: string,
  options: FindOptions,
  note?: (text: string) => void,
): Promise<Comparison> {
  const { files, exclude, leftOut } = await findFiles(directory, options, { signal: client.signal, note });
  const theirs = await packageFiles(client, pkg);
  const compared = exclude === null ? theirs : theirs.filter(({ path }) => !exclude.covers(path));
  const { removed } = await splitRemoved(client, pkg, compared);
  const mayLack = new Set(removed.map(({ path }) => path));
  const limits = await client.limits();
  const readers = new Readers();
  try {
    const differences = compareFiles(compared, await readers.hash([...files], limits));
    differences.removed = differences.removed.filter((path) => !mayLack.has(path));
    return {
      differences,
      leftOut: { directory: leftOut?.count ?? 0, package: theirs.length - compared.length },
    };
  } finally {
    await readers.stop();
  }
}
