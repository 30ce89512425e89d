import type { Package } from '../../../src/api/types.ts';
import { comparePaths } from '../../../src/core/logical-path.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { packageFiles, splitRemoved } from '../api/package-files.ts';
import type { PackageFile } from '../package-file.ts';
import { Downloader } from './downloader.ts';
import { type Failure, failuresOf } from './failures.ts';
import { bySize, type Piece, type Span, spansOf } from './pieces.ts';

export interface Verification {
  files: number;
  bytes: number;
  /** Files that were removed from the package, and so were not read. */
  deleted: PackageFile[];
  /** Files whose bytes are not what the package says, in the order of their paths. */
  failures: Failure[];
}

/**
 * Reads every file of a package that was not removed from it through the service and hashes it, each object once; the manifest is checked against
 * its digest first. Mismatches are collected, so that one bad file does not hide the next.
 * @throws CliError integrity_failure for the manifest itself
 */
export async function verifyPackage(
  client: ApiClient,
  pkg: Package,
  watch?: (report: () => ProgressReport) => void,
): Promise<Verification> {
  const { there: files, removed } = await splitRemoved(client, pkg, await packageFiles(client, pkg));
  const totalBytes = files.reduce((total, { size }) => total + size, 0);
  const done = { files: 0, bytes: 0 };
  const failures: Failure[] = [];
  watch?.(() => ({ phase: 'verifying', ...done, totalFiles: files.length, totalBytes }));
  const downloader = new Downloader(client, pkg.id);

  function conclude(piece: Piece, problem: string | null): void {
    done.files += piece.files.length;
    if (problem !== null) failures.push(...failuresOf(piece.files, problem));
  }

  async function verifySpan(span: Span): Promise<void> {
    for await (const arrival of downloader.readSpan(span)) {
      done.bytes += arrival.piece.size * arrival.piece.files.length;
      conclude(arrival.piece, 'problem' in arrival ? arrival.problem : null);
    }
  }

  async function verifyLarge(piece: Piece): Promise<void> {
    const bytes = downloader.readHashed(piece);
    let step = await bytes.next();
    for (; !step.done; step = await bytes.next()) done.bytes += step.value.length * piece.files.length;
    conclude(piece, step.value);
  }

  try {
    const { pieces, lost } = await downloader.plan(files);
    failures.push(...lost);
    done.files += lost.length;
    const { empty, small, large } = bySize(pieces);
    for (const piece of empty) conclude(piece, null);
    await downloader.run([
      ...spansOf(small).map((span) => () => verifySpan(span)),
      ...large.map((piece) => () => verifyLarge(piece)),
    ]);
  } finally {
    downloader.close();
  }
  failures.sort((a, b) => comparePaths(a.path, b.path));
  return { files: files.length, bytes: totalBytes, deleted: removed, failures };
}
