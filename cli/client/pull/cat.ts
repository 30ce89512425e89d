import type { Package } from '../../../src/api/types.ts';
import { isApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { packageFiles } from '../api/package-files.ts';
import { noSuchFile } from './choose-files.ts';
import { type OpenFile, openFile } from './open-file.ts';

/** For packages with more files no similar names are searched: the list alone would be megabytes. */
const LISTED_MAX = 10_000;

/**
 * One file's bytes; the end is reached only if they have the file's digest.
 * @throws CliError integrity_failure; file_not_found, with near names
 */
export async function* catFile(client: ApiClient, pkg: Package, path: string): AsyncGenerator<Buffer> {
  const file = await openNamed(client, pkg, path);
  yield* file.read();
}

async function openNamed(client: ApiClient, pkg: Package, path: string): Promise<OpenFile> {
  try {
    return await openFile(client, pkg.id, path);
  } catch (error) {
    if (!isApiError(error, 'file_not_found') || pkg.file_count > LISTED_MAX) throw error;
    const paths = (await packageFiles(client, pkg)).map((file) => file.path);
    throw noSuchFile(pkg, `There is no file ${JSON.stringify(path)} in the package.`, { written: path, paths });
  }
}
