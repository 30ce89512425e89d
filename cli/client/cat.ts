import { parseLogicalPath } from '../../src/core/logical-path.ts';
import type { ApiClient } from './api-client.ts';
import { Downloader } from './downloader.ts';
import { integrityFailure } from './failures.ts';
import { PiecePlan } from './plan-pieces.ts';

/** One file's bytes; the end is reached only if they have the file's digest. @throws CliError integrity_failure */
export async function* catFile(client: ApiClient, packageId: string, path: string): AsyncGenerator<Buffer> {
  const page = await client.planDownloads(packageId, { paths: [parseLogicalPath(path)] });
  const entry = page.objects.flatMap(({ entries }) => entries).find((candidate) => candidate.path === path);
  if (!entry) throw integrityFailure(path, 'was asked for, and another file was offered.');
  const { digest, size } = entry;
  const plan = new PiecePlan();
  plan.want([{ path, digest, size, mtime: null, executable: false }]);
  plan.add(page);
  const downloader = new Downloader(client, packageId, 1);
  try {
    for (const piece of plan.pieces()) {
      const problem = yield* downloader.readHashed(piece);
      if (problem !== null) throw integrityFailure(path, problem);
    }
  } finally {
    downloader.close();
  }
}
