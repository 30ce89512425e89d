import type { FileDeletion, Package } from '../../src/api/types.ts';
import { FILES_PER_DECISION } from '../../src/core/decision.ts';
import type { ProgressReport } from '../progress.ts';
import type { ApiClient } from './api/api-client.ts';
import { packageFiles } from './api/package-files.ts';
import { chunks } from './concurrency.ts';
import { chooseFiles } from './pull/choose-files.ts';

/**
 * Removes the files of a finalized package that match, when the time of all of them is over: the service is asked of all before the
 * first is removed. A hold that is placed, or an extension that is made, between two calls keeps the rest.
 * @throws CliError file_not_found when none matches; ApiError retention_active, held, package_not_finalized, …
 */
export async function removeFiles(
  client: ApiClient,
  pkg: Package,
  { glob, reason }: { glob: string; reason: string },
  watch?: (report: () => ProgressReport) => void,
): Promise<FileDeletion> {
  const chosen = chooseFiles(pkg, await packageFiles(client, pkg), glob);
  const calls = [...chunks(chosen, FILES_PER_DECISION)].map((files) => files.map(({ path }) => path));
  const total = { package_id: pkg.id, files: 0, bytes: 0, already_deleted: 0 };
  watch?.(() => ({
    phase: 'removing',
    files: total.files,
    bytes: total.bytes,
    totalFiles: chosen.length,
    totalBytes: 0,
  }));
  for (const paths of calls) await client.deleteFiles(pkg.id, { paths, reason, check: true });
  for (const paths of calls) {
    const { files, bytes, already_deleted } = await client.deleteFiles(pkg.id, { paths, reason });
    total.files += files;
    total.bytes += bytes;
    total.already_deleted += already_deleted;
  }
  return total;
}
