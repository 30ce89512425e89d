import type { BigIntStats } from 'node:fs';
import type { Package } from '../../../src/api/types.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { packageFiles, splitRemoved } from '../api/package-files.ts';
import type { PackageFile } from '../package-file.ts';
import { DiskSync } from '../target/disk-sync.ts';
import { FileWriter } from '../target/file-writer.ts';
import { folderFailure, noSpace, type Progress, withFile } from '../target/folder-failure.ts';
import { FollowHash } from '../target/follow-hash.ts';
import { freeSpace, isSurelyTooSmall } from '../target/free-space.ts';
import { type Place, Placement } from '../target/placement.ts';
import { TargetFolder } from '../target/target-folder.ts';
import { chooseFiles } from './choose-files.ts';
import { Downloader, FILES_PER_CALL } from './downloader.ts';
import { type Failure, failuresOf, integrityFailures } from './failures.ts';
import { LargeFile } from './large-file.ts';
import { findMissing } from './missing-files.ts';
import { bySize, type Piece, type Span, spansOf } from './pieces.ts';

export interface PullOptions {
  directory: string;
  /** Only paths that match; `**` crosses folders. */
  glob?: string | undefined;
  /** Restore modification times. */
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
  /** Of those, the ones that lacked the executable bit and have it now. */
  made_executable: number;
  /** Files that were removed from the package, and cannot be pulled any more. */
  deleted: number;
  seconds: number;
}

/**
 * Writes a package's files below the directory: every byte hashed, nothing replaced, and on the disk when it returns. All
 * that can be refused is refused before the first file is written. Files with other bytes are left out and named at the
 * end; the others are written.
 * @throws CliError integrity_failure, file_differs, file_refused, invalid_path, unreachable; file_not_found when nothing
 *   matches, before the directory is made; no_space, and failed for whatever else the file system refuses
 */
export async function pullPackage(
  client: ApiClient,
  pkg: Package,
  options: PullOptions,
  watch?: (report: () => ProgressReport) => void,
): Promise<PullResult> {
  const started = performance.now();
  const chosen = chooseFiles(pkg, await packageFiles(client, pkg), options.glob);
  const { there: wanted, removed } = await splitRemoved(client, pkg, chosen);
  const pull = Pull.open(client, pkg.id, options);
  try {
    const { missing, pieces } = await pull.plan(wanted);
    const total = { totalFiles: missing.length, totalBytes: pull.totalBytes ?? 0 };
    watch?.(() => ({ phase: pull.phase, ...pull.done, there: pull.resumedBytes, ...total }));
    await pull.write(pieces);
    await pull.end(wanted, missing);
    return {
      files: missing.length,
      bytes: total.totalBytes,
      resumed_bytes: pull.resumedBytes,
      skipped: wanted.length - missing.length,
      made_executable: pull.madeExecutable,
      deleted: removed.length,
      seconds: Math.round(performance.now() - started) / 1_000,
    };
  } catch (error) {
    throw pull.explain(error);
  } finally {
    await pull.close();
  }
}

class Pull {
  phase = 'pulling';
  readonly done = { files: 0, bytes: 0 };
  resumedBytes = 0;
  madeExecutable = 0;
  /** Of what is missing; null: not known yet. */
  totalBytes: number | null = null;
  readonly #options: PullOptions;
  readonly #folder: TargetFolder;
  readonly #placement: Placement;
  readonly #writer: FileWriter;
  readonly #downloader: Downloader;
  readonly #sync: DiskSync;
  readonly #hashes = new FollowHash();
  readonly #failures: Failure[] = [];
  readonly #large = new Set<LargeFile>();
  /** Files that are there and should be executable. */
  readonly #plain: Array<{ path: string; stats: BigIntStats }> = [];
  /** What was written is on the disk, and every file has its name, or its problem. */
  #settled = false;

  private constructor(client: ApiClient, packageId: string, options: PullOptions, folder: TargetFolder) {
    this.#options = options;
    this.#folder = folder;
    this.#placement = new Placement(folder.folders);
    this.#downloader = new Downloader(client, packageId, options.parallel);
    this.#sync = new DiskSync(folder.folders.tree, this.#downloader.signal);
    this.#writer = new FileWriter(this.#placement, folder.folders, {
      signal: this.#downloader.signal,
      written: (size) => {
        this.done.files += 1;
        this.done.bytes += size;
        this.#sync.written(size);
      },
    });
  }

  static open(client: ApiClient, packageId: string, options: PullOptions): Pull {
    const { directory } = options;
    try {
      return new Pull(client, packageId, options, TargetFolder.open(directory, packageId));
    } catch (error) {
      throw folderFailure(error, { directory, total: null, done: 0, free: null });
    }
  }

  /** What is not there yet, and where its bytes are. @throws CliError no_space when it surely does not fit */
  async plan(files: readonly PackageFile[]): Promise<{ missing: PackageFile[]; pieces: Piece[] }> {
    const missing: PackageFile[] = [];
    const { pieces, lost } = await this.#downloader.planLists(this.#findMissing(files, missing));
    this.#failures.push(...lost);
    this.totalBytes = missing.reduce((sum, { size }) => sum + size, 0);
    const there = this.#folder.partialBytes();
    if (isSurelyTooSmall(this.#folder.root, pieces, there)) {
      throw noSpace('has too little space', { ...this.#progress(), done: there });
    }
    return { missing, pieces };
  }

  async *#findMissing(files: readonly PackageFile[], missing: PackageFile[]): AsyncGenerator<PackageFile[]> {
    const options = {
      hashes: this.#hashes,
      signal: this.#downloader.signal,
      most: FILES_PER_CALL,
      found: ({ path, executable }: PackageFile, stats: BigIntStats) => {
        if (executable) this.#plain.push({ path, stats });
      },
    };
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
    for (const { path, stats } of this.#plain) {
      if (withFile(path, () => this.#folder.makeExecutable(path, stats))) this.madeExecutable += 1;
    }
  }

  /** @throws CliError file_refused when a folder is another one by now; integrity_failure naming what was damaged */
  async end(wanted: readonly PackageFile[], missing: readonly PackageFile[]): Promise<void> {
    const { folders, continued } = this.#folder;
    this.phase = 'syncing';
    folders.tree.root.assertInPlace();
    folders.tree.assertInPlace();
    // What a pull wrote that was cut off is not on the disk yet, either.
    const written = continued ? wanted : missing;
    await this.#sync.finish(written.map(({ path }) => path));
    this.#settled = true;
    if (this.#failures.length > 0) throw integrityFailures(this.#failures, { files: this.done.files });
  }

  /** What a person reads of whatever ended the pull. */
  explain(error: unknown): unknown {
    return folderFailure(error, this.#progress());
  }

  #progress(): Progress {
    const free = freeSpace(this.#folder.root);
    return { directory: this.#options.directory, total: this.totalBytes, done: this.done.bytes, free };
  }

  async close(): Promise<void> {
    this.#sync.close();
    await this.#writer.close();
    for (const large of this.#large) await large.close();
    await this.#hashes.close();
    this.#downloader.close();
    this.#folder.close({ keep: !this.#settled && this.#mayGoOn() });
  }

  /** There is something to continue with, or something that a power cut could take. */
  #mayGoOn(): boolean {
    return this.#folder.continued || this.done.files > 0 || this.#folder.hasPartial();
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
    const kept = { executable, mtime: this.#options.preserve && mtime !== null ? new Date(mtime) : null };
    return { path, kept, unfinished: this.#folder.isUnfinished(path) };
  }
}
