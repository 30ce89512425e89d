import { availableParallelism } from 'node:os';
import type { Digest } from '../../../src/core/digest.ts';
import { partSizeFor } from '../../../src/core/part-plan.ts';
import { cut, Slots } from '../concurrency.ts';
import type { FoundSecret } from '../secrets/find-secrets.ts';
import type { FileIndex, FileList, FilePart } from './file-list.ts';
import type { FramesJob, FramesOutcome, HashJob, HashOutcome, StoredFile } from './hash-file.ts';
import { type FoundFile, fileChanged, fileError } from './local-file.ts';
import type { PackOutcome } from './pack-builder.ts';
import type { ReadFailure } from './read-whole.ts';
import { type CompressOutcome, newReader, type ReaderAnswer, type ReaderTask } from './reader-task.ts';
import { ReaderThreads, type Watch } from './reader-threads.ts';

export interface HashedFile extends FoundFile {
  digest: Digest;
  /** Only of files that are sent as they are, in several parts. */
  parts: FilePart[] | null;
  /** Null: it is sent as it is. */
  stored: StoredFile | null;
  /** Null: it was not looked through. */
  secrets: FoundSecret[] | null;
}

/** A pack of files, built in the memory that was handed over. */
export interface ReadPack {
  /** Of the files, 32 bytes each, in their order. */
  digests: Uint8Array<ArrayBuffer>;
  digest: Digest;
  /** Of the files that have any, by their places; none when they are not looked through. */
  secrets: ReadonlyArray<readonly [place: number, FoundSecret[]]>;
}

type PartLimits = Parameters<typeof partSizeFor>[1];

/** Stored bytes of compressed files that wait to be sent; of one file, and of all of them together. */
const KEPT = { ofFile: 16 * 1024 ** 2, inAll: 64 * 1024 ** 2 };

const THREADS_MIN = 2;
const THREADS_MAX = 8;
/** So little is read faster than a thread starts. */
const FEW_FILES = 250;
const FEW_BYTES = 8 * 1024 ** 2;
/** Small files travel to a thread in lists, large ones alone. */
const LIST = { items: 50, bytes: 4 * 1024 ** 2 };

/**
 * Reads and hashes files in a few threads. Memory is bounded by one buffer per thread and what callers hand over,
 * whatever the files' sizes. Everything may be asked at once: it waits for a thread.
 */
export class Readers {
  readonly #counter = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #threads: ReaderThreads;
  /** Of its own: whoever waits for frames has begun to send, and must not stand behind files that take minutes. */
  readonly #maker: ReaderThreads;
  /** Without a thread one task is done after the other, as in one. */
  readonly #turns = new Slots(1);
  readonly #keptOfFile: number;
  /** Stored bytes that may still be kept. */
  #keepLeft: number;

  /** Files read so far. */
  files = 0;

  constructor(kept = KEPT) {
    const most = Math.min(THREADS_MAX, Math.max(THREADS_MIN, availableParallelism()));
    this.#threads = new ReaderThreads(this.#counter, most);
    this.#maker = new ReaderThreads(this.#counter, 1);
    this.#keptOfFile = kept.ofFile;
    this.#keepLeft = kept.inAll;
  }

  /** Bytes read so far, those of files that are not done included. */
  get bytes(): number {
    return Number(Atomics.load(this.#counter, 0));
  }

  /** Says what will be asked, as far as it is known: a thread that is worth it starts while others wait for answers. */
  expect({ files, bytes }: { files: number; bytes: number }): void {
    if (!isLittle(files, bytes)) this.#threads.begin();
  }

  /**
   * In the order given; of parts as the service wants them. Stored bytes that come with a file count as kept until `letGo`.
   * @param level at which files that seem compressible are compressed; null: none is
   * @param scan whether they are looked through for secrets
   * @throws CliError file_changed, file_unreadable, naming a file that failed
   */
  async hash(
    files: readonly FoundFile[],
    limits: PartLimits,
    level: number | null = null,
    scan = false,
  ): Promise<HashedFile[]> {
    const lists = [...cut(files, LIST, ({ size }) => ({ items: 1, bytes: size }))].map(async (list) => {
      const jobs = list.map((file) => this.#jobOf(file, limits, level, scan));
      const outcomes = await this.#do<HashOutcome[]>({ hash: jobs }, list, {
        taken: () => this.#reserve(list, jobs),
        answered: (answer) => this.#giveBack(jobs, answer as HashOutcome[]),
      });
      const hashed = list.map((file, index) => conclude(file, outcomes[index]));
      this.files += hashed.length;
      return hashed;
    });
    return (await Promise.all(lists)).flat();
  }

  /** A file's stored bytes are not needed any more; they can be made again. */
  letGo({ stored }: HashedFile): void {
    if (stored === null || stored.bytes === null) return;
    this.#keepLeft += stored.bytes.length;
    stored.bytes = null;
  }

  /**
   * Puts the stored form of content in its place, should it be worth it.
   * @param frames logical sizes, which add up to the content @returns null: the content is as it was
   */
  compress(memory: SharedArrayBuffer, frames: readonly number[], level: number): Promise<CompressOutcome> {
    const size = frames.reduce((sum, frame) => sum + frame, 0);
    return this.#do<CompressOutcome>({ compress: { memory, frames, level } }, [{ size }]);
  }

  /** Some frames of a compressed file, as they were. @throws CliError file_changed, file_unreadable */
  async frames(file: FoundFile, frames: Pick<FramesJob, 'level' | 'offset' | 'sizes'>): Promise<Buffer> {
    const { absolute, identity } = file;
    const size = frames.sizes.reduce((sum, one) => sum + one, 0);
    const outcome = (await this.#maker.do({ frames: { absolute, identity, ...frames } }, size)) as FramesOutcome;
    if (!outcome.ok) throw failureOf(file, outcome);
    return Buffer.from(outcome.bytes.buffer);
  }

  /**
   * Builds a pack of small files, in their order. @param scan whether they are looked through for secrets
   * @throws CliError file_changed, file_unreadable
   */
  async pack(
    files: FileList,
    indexes: readonly FileIndex[],
    memory: SharedArrayBuffer,
    scan = false,
  ): Promise<ReadPack> {
    const job = { files: files.batch(indexes), memory, scan };
    const sizes = indexes.map((index) => ({ size: files.size(index) }));
    const outcome = await this.#do<PackOutcome>({ pack: job }, sizes);
    if (!outcome.ok) throw failureOf(files.at(indexes[outcome.file] as FileIndex), outcome);
    this.files += indexes.length;
    return outcome;
  }

  /** Ends the threads; what was asked and is not done fails. What is asked later starts new ones. */
  async stop(): Promise<void> {
    await Promise.all([this.#threads.stop(), this.#maker.stop()]);
  }

  #jobOf({ absolute, identity, size }: FoundFile, limits: PartLimits, level: number | null, scan: boolean): HashJob {
    return {
      absolute,
      identity,
      scan,
      partSize: Math.max(1, partSizeFor(size, limits)),
      compress:
        level === null
          ? null
          : { level, singlePartMax: limits.single_part_max, partSize: limits.part_size, keepMax: 0 },
    };
  }

  /** Not when it is asked: most of what waits would find nothing left, though little of what is reserved is used. */
  #reserve(files: readonly FoundFile[], jobs: readonly HashJob[]): void {
    for (const [place, { compress }] of jobs.entries()) {
      if (compress === null) continue;
      compress.keepMax = Math.min(files[place]?.size ?? 0, this.#keptOfFile, this.#keepLeft);
      this.#keepLeft -= compress.keepMax;
    }
  }

  /** What was reserved and is not kept. */
  #giveBack(jobs: readonly HashJob[], outcomes: readonly HashOutcome[]): void {
    for (const [place, outcome] of outcomes.entries()) {
      const kept = outcome.ok ? (outcome.stored?.bytes?.length ?? 0) : 0;
      this.#keepLeft += (jobs[place]?.compress?.keepMax ?? 0) - kept;
    }
  }

  async #do<T extends ReaderAnswer>(
    task: ReaderTask,
    files: ReadonlyArray<{ size: number }>,
    watch: Watch | null = null,
  ): Promise<T> {
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (!isLittle(files.length, bytes) || this.#threads.any) return (await this.#threads.do(task, bytes, watch)) as T;
    return this.#turns.use(async () => {
      watch?.taken();
      const answer = await this.#here(task);
      watch?.answered(answer);
      return answer as T;
    });
  }

  #here(task: ReaderTask): Promise<ReaderAnswer> {
    return newReader((bytes) => Atomics.add(this.#counter, 0, BigInt(bytes)))(task);
  }
}

function isLittle(files: number, bytes: number): boolean {
  return files <= FEW_FILES && bytes <= FEW_BYTES;
}

function conclude(file: FoundFile, outcome: HashOutcome | undefined): HashedFile {
  if (outcome?.ok) {
    const { digest, parts, stored, secrets } = outcome;
    return { ...file, digest, parts, stored, secrets };
  }
  throw failureOf(file, outcome ?? { ok: false, changed: true });
}

function failureOf(file: FoundFile, failure: ReadFailure): Error {
  return failure.changed ? fileChanged(file.path) : fileError(file.path, failure);
}
