import type { DownloadList, Package } from '../../../src/api/types.ts';
import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import { isApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { packageFiles } from '../api/package-files.ts';
import { noSuchFile } from './choose-files.ts';
import { Downloader } from './downloader.ts';
import { integrityFailure } from './failures.ts';
import { PiecePlan } from './plan-pieces.ts';

/** For packages with more files no similar names are searched: the list alone would be megabytes. */
const LISTED_MAX = 10_000;

/**
 * One file's bytes; the end is reached only if they have the file's digest.
 * @throws CliError integrity_failure; file_not_found, with near names
 */
export async function* catFile(client: ApiClient, pkg: Package, path: string): AsyncGenerator<Buffer> {
  const page = await planFile(client, pkg, path);
  const entry = page.objects.flatMap(({ entries }) => entries).find((candidate) => candidate.path === path);
  if (!entry) throw integrityFailure(path, 'was requested, but another file was offered.');
  const { digest, size } = entry;
  const plan = new PiecePlan();
  plan.want([{ path, digest, size, mtime: null, executable: false }]);
  plan.add(page);
  const downloader = new Downloader(client, pkg.id, 1);
  try {
    for (const piece of plan.pieces()) {
      const problem = yield* downloader.readHashed(piece);
      if (problem !== null) throw integrityFailure(path, problem);
    }
  } finally {
    downloader.close();
  }
}

async function planFile(client: ApiClient, pkg: Package, path: string): Promise<DownloadList> {
  try {
    return await client.planDownloads(pkg.id, { paths: [parseLogicalPath(path)] });
  } catch (error) {
    if (!isApiError(error, 'file_not_found') || pkg.file_count > LISTED_MAX) throw error;
    const paths = (await packageFiles(client, pkg)).map((file) => file.path);
    throw noSuchFile(pkg, `There is no file ${JSON.stringify(path)} in the package.`, { written: path, paths });
  }
}
