import { type Digest, digestHex } from '../../../src/core/digest.ts';
import type { FileRange } from '../target/file-ranges.ts';
import { fileFailure, withFile } from '../target/folder-failure.ts';
import type { Follower, FollowHash } from '../target/follow-hash.ts';
import type { PartialFile } from '../target/partial-file.ts';
import type { Place, Placement } from '../target/placement.ts';
import type { TargetFolder } from '../target/target-folder.ts';
import type { Downloader } from './downloader.ts';
import { digestProblem, problemOfSource } from './failures.ts';
import type { Piece } from './pieces.ts';
import { SourceDamaged } from './signed-get.ts';

export interface LargeFileTools {
  downloader: Downloader;
  folder: TargetFolder;
  placement: Placement;
  hashes: FollowHash;
  /** Told of bytes that are there, and of others as they arrive; less than nothing when they have to come once more. */
  count: (bytes: number) => void;
  /** Told once, at the end: null when the file has its names, else why its bytes are not the package's. */
  ended: (problem: string | null) => void;
}

/**
 * A large file on its way, in ranges that are fetched in any order and at once. Its bytes are hashed from the disk, by
 * another thread, as its unbroken beginning grows: what a process before this one left is hashed like the rest.
 */
export class LargeFile {
  readonly #piece: Piece;
  readonly #places: readonly Place[];
  readonly #tools: LargeFileTools;
  #partial: PartialFile;
  #follower: Follower;
  /** Tasks that have not ended. */
  #left: number;
  #problem: string | null = null;
  #closed = false;
  #counted = 0;
  /** Bytes that were there already. */
  readonly resumedBytes: number;

  constructor(piece: Piece, places: readonly Place[], tools: LargeFileTools) {
    this.#piece = piece;
    this.#places = places;
    this.#tools = tools;
    this.#partial = this.#open();
    this.#follower = tools.hashes.follow(this.#partial.fd);
    this.#follower.advance(this.#partial.prefix);
    this.#left = this.#partial.missing().length;
    this.resumedBytes = this.#partial.resumedBytes;
  }

  /**
   * Work that may be done at once and in any order; what ends last checks the file and gives it its names. Throws only
   * what ends the whole pull.
   */
  *tasks(): Generator<() => Promise<void>> {
    this.#count(this.resumedBytes);
    const ranges = this.#partial.missing();
    if (ranges.length === 0) yield () => this.#finish();
    for (const range of ranges) yield () => this.#run(range);
  }

  /** Called when no task runs any more. Files that arrived but have no name yet stay for the next pull. */
  async close(): Promise<void> {
    if (!this.#closed) await this.#partial.close();
    this.#closed = true;
  }

  async #run(range: FileRange): Promise<void> {
    try {
      if (this.#problem === null) await this.#fetch(range);
    } catch (error) {
      if (!(error instanceof SourceDamaged)) throw error;
      this.#problem = problemOfSource(error);
    }
    this.#left -= 1;
    if (this.#left === 0) await this.#finish();
  }

  async #fetch(range: FileRange): Promise<void> {
    let at = range.offset;
    for await (const chunk of this.#tools.downloader.read(this.#piece, range.offset, range.size)) {
      withFile(this.#path, () => this.#partial.write(chunk, at));
      at += chunk.length;
      this.#count(chunk.length);
    }
    this.#partial.rangeDone(range);
    this.#follower.advance(this.#partial.prefix);
  }

  async #finish(): Promise<void> {
    this.#problem ??= await this.#digestProblem();
    if (this.#problem !== null && this.#partial.resumedBytes > 0) await this.#startOver();
    if (this.#problem === null) {
      await this.#place().catch((error: unknown) => {
        throw fileFailure(this.#path, error);
      });
    }
    this.#closed = true;
    await this.#partial.remove();
    this.#tools.ended(this.#problem);
  }

  /** A power cut may have taken what the journal calls done: all of it once more. */
  async #startOver(): Promise<void> {
    await this.#partial.remove();
    this.#count(-this.#counted);
    this.#partial = this.#open();
    this.#follower = this.#tools.hashes.follow(this.#partial.fd);
    this.#problem = null;
    const ranges = this.#partial.missing();
    this.#left = ranges.length + 1;
    for (const range of ranges) await this.#run(range);
    this.#problem ??= await this.#digestProblem();
  }

  async #digestProblem(): Promise<string | null> {
    const { digest, size } = this.#piece;
    return digestProblem(digest, await this.#follower.finish(size));
  }

  async #place(): Promise<void> {
    await this.#partial.sync();
    await this.#tools.placement.placePartial(this.#partial, this.#places);
  }

  #open(): PartialFile {
    const { digest, size } = this.#piece;
    return withFile(this.#path, () => this.#tools.folder.openPartial(digestHex(digest as Digest), size));
  }

  #count(bytes: number): void {
    this.#counted += bytes;
    this.#tools.count(bytes);
  }

  /** Of its files, the one that errors name. */
  get #path(): string {
    return this.#places[0]?.path ?? '';
  }
}
