import type { Package } from '../../src/api/types.ts';
import type { ProgressReport } from '../progress.ts';
import type { ApiClient } from './api-client.ts';
import { chooseFiles } from './choose-files.ts';
import { Downloader, FILES_PER_CALL } from './downloader.ts';
import { type Failure, failuresOf, integrityFailures } from './failures.ts';
import { FileWriter } from './file-writer.ts';
import { FollowHash } from './follow-hash.ts';
import { LargeFile } from './large-file.ts';
import { findMissing } from './missing-files.ts';
import { type PackageFile, packageFiles } from './package-files.ts';
import { bySize, type Piece, type Span, spansOf } from './pieces.ts';
import { type Place, Placement } from './placement.ts';
import { TargetFolder } from './target-folder.ts';

export interface PullOptions {
  directory: string;
  /** Only paths that match; `**` crosses folders. */
  glob?: string | undefined;
  /** Restore modification times and the executable bit. */
  preserve?: boolean | undefined;
  /** Connections. */
  parallel?: number | undefined;
}

export interface PullResult {
  /** Written by this pull, and their bytes. */
  files: number;
  bytes: number;
  /** Of those bytes, the ones that a pull before this one had left: not read again from the store. */
  resumed_bytes: number;
  /** Files that were there already, with the same bytes. */
  skipped: number;
  seconds: number;
}

/**
 * Writes a package's files below the directory: every byte hashed, nothing replaced. All that can be refused is refused
 * before the first file is written. Files with other bytes are left out and named at the end; the others are written.
 * @throws CliError integrity_failure, file_differs, file_refused, invalid_path, unreachable; file_not_found when nothing
 *   matches, before the directory is made
 */
export async function pullPackage(
  client: ApiClient,
  pkg: Package,
  options: PullOptions,
  watch?: (report: () => ProgressReport) => void,
): Promise<PullResult> {
  const started = performance.now();
  const wanted = chooseFiles(pkg, await packageFiles(client, pkg), options.glob);
  const pull = new Pull(client, pkg.id, options);
  try {
    const { missing, pieces } = await pull.plan(wanted);
    const total = { totalFiles: missing.length, totalBytes: missing.reduce((sum, { size }) => sum + size, 0) };
    watch?.(() => ({ phase: 'pulling', ...pull.done, ...total }));
    await pull.write(pieces);
    return {
      files: missing.length,
      bytes: total.totalBytes,
      resumed_bytes: pull.resumedBytes,
      skipped: wanted.length - missing.length,
      seconds: Math.round(performance.now() - started) / 1_000,
    };
  } finally {
    await pull.close();
  }
}

class Pull {
  readonly done = { files: 0, bytes: 0 };
  resumedBytes = 0;
  readonly #options: PullOptions;
  readonly #folder: TargetFolder;
  readonly #placement: Placement;
  readonly #writer: FileWriter;
  readonly #downloader: Downloader;
  readonly #hashes = new FollowHash();
  readonly #failures: Failure[] = [];
  readonly #large = new Set<LargeFile>();
  /** Every file has its name, or its problem. */
  #ended = false;

  constructor(client: ApiClient, packageId: string, options: PullOptions) {
    this.#options = options;
    this.#folder = TargetFolder.open(options.directory, packageId);
    const { folders } = this.#folder;
    this.#placement = new Placement(folders);
    this.#downloader = new Downloader(client, packageId, options.parallel);
    this.#writer = new FileWriter(this.#placement, folders, {
      signal: this.#downloader.signal,
      written: (size) => {
        this.done.files += 1;
        this.done.bytes += size;
      },
    });
  }

  /** What is not there yet, and where its bytes are. */
  async plan(files: readonly PackageFile[]): Promise<{ missing: PackageFile[]; pieces: Piece[] }> {
    const missing: PackageFile[] = [];
    const pieces = await this.#downloader.planLists(this.#findMissing(files, missing));
    return { missing, pieces };
  }

  async *#findMissing(files: readonly PackageFile[], missing: PackageFile[]): AsyncGenerator<PackageFile[]> {
    const options = { hashes: this.#hashes, signal: this.#downloader.signal, most: FILES_PER_CALL };
    for await (const list of findMissing(this.#folder, files, options)) {
      missing.push(...list);
      this.#writer.expect(missing.length);
      yield list;
    }
  }

  async write(pieces: readonly Piece[]): Promise<void> {
    const tasks = this.#tasks(pieces);
    await this.#downloader.run(tasks);
    await this.#writer.flush();
    this.#ended = true;
    if (this.#failures.length > 0) throw integrityFailures(this.#failures, { files: this.done.files });
  }

  async close(): Promise<void> {
    await this.#writer.close();
    for (const large of this.#large) await large.close();
    await this.#hashes.close();
    this.#downloader.close();
    this.#folder.close({ keep: !this.#ended });
  }

  *#tasks(pieces: readonly Piece[]): Generator<() => Promise<void>> {
    const { empty, small, large } = bySize(pieces);
    for (const piece of empty) yield () => this.#write(piece, Buffer.alloc(0));
    for (const span of spansOf(small)) yield () => this.#readSpan(span);
    for (const piece of large) yield* this.#open(piece).tasks();
  }

  async #readSpan(span: Span): Promise<void> {
    for await (const arrival of this.#downloader.readSpan(span)) {
      if ('bytes' in arrival) await this.#write(arrival.piece, arrival.bytes);
      else this.#failures.push(...failuresOf(arrival.piece.files, arrival.problem));
    }
    this.#writer.send();
  }

  #write({ files }: Piece, bytes: Buffer): Promise<void> {
    return this.#writer.write(
      files.map((file) => this.#placeOf(file)),
      bytes,
    );
  }

  #open(piece: Piece): LargeFile {
    const places = piece.files.map((file) => this.#placeOf(file));
    const large: LargeFile = new LargeFile(piece, places, {
      downloader: this.#downloader,
      folder: this.#folder,
      placement: this.#placement,
      hashes: this.#hashes,
      count: (bytes) => {
        this.#writer.assertSound();
        this.done.bytes += bytes;
      },
      ended: (problem) => {
        this.#large.delete(large);
        if (problem !== null) this.#failures.push(...failuresOf(piece.files, problem));
        else {
          this.done.files += places.length;
          this.done.bytes += (places.length - 1) * piece.size;
        }
      },
    });
    this.#large.add(large);
    this.resumedBytes += large.resumedBytes;
    return large;
  }

  #placeOf({ path, executable, mtime }: PackageFile): Place {
    const unfinished = this.#folder.isUnfinished(path);
    if (!this.#options.preserve) return { path, kept: { executable: false, mtime: null }, unfinished };
    return { path, kept: { executable, mtime: mtime === null ? null : new Date(mtime) }, unfinished };
  }
}
