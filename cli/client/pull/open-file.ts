import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import type { ApiClient } from '../api/api-client.ts';
import { Downloader } from './downloader.ts';
import { integrityFailure } from './failures.ts';
import type { Piece } from './pieces.ts';
import { PiecePlan } from './plan-pieces.ts';

/** One file of a package whose bytes can be read. */
export interface OpenFile {
  path: string;
  digest: string;
  size: number;
  /** All bytes; the end is reached only if they have the file's digest. @throws CliError integrity_failure */
  read(): AsyncGenerator<Buffer>;
  /** Some of them, which nothing is compared with. @throws CliError integrity_failure when storage cannot give them */
  readRange(offset: number, length: number): AsyncGenerator<Buffer>;
}

/** @throws ApiError file_not_found; CliError integrity_failure when another file is offered */
export async function openFile(client: ApiClient, packageId: string, path: string): Promise<OpenFile> {
  const page = await client.planDownloads(packageId, { paths: [parseLogicalPath(path)] });
  const entry = page.objects.flatMap(({ entries }) => entries).find((candidate) => candidate.path === path);
  if (!entry) throw integrityFailure(path, 'was requested, but another file was offered.');
  const { digest, size } = entry;
  const plan = new PiecePlan();
  plan.want([{ path, digest, size, mtime: null, executable: false }]);
  plan.add(page);
  const pieces = plan.pieces();

  async function* reading(
    read: (downloader: Downloader, piece: Piece) => AsyncGenerator<Buffer, string | null>,
  ): AsyncGenerator<Buffer> {
    const downloader = new Downloader(client, packageId, 1);
    try {
      for (const piece of pieces) {
        const problem = yield* read(downloader, piece);
        if (problem !== null) throw integrityFailure(path, problem);
      }
    } finally {
      downloader.close();
    }
  }

  return {
    path,
    digest,
    size,
    read: () => reading((downloader, piece) => downloader.readHashed(piece)),
    readRange: (offset, length) => reading((downloader, piece) => downloader.readPart(piece, offset, length)),
  };
}
