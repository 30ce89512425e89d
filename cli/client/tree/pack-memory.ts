import type { Digest } from '../../../src/core/digest.ts';
import type { Pool } from '../../../src/core/pool.ts';
import { type FileIndex, type FileList, RAW_DIGEST_SIZE } from './file-list.ts';
import { fileChanged } from './local-file.ts';
import type { Readers, ReadPack } from './readers.ts';

/** A pack whose bytes need not be in memory all the time. */
export interface PackBytes {
  readonly digest: Digest;
  /** The bytes, while they are held, at the beginning of their memory. */
  bytes(): Buffer;
  memory(): SharedArrayBuffer;
  /** Has the bytes in memory. */
  hold(): Promise<void>;
  /** The bytes are not needed now; nobody may look at them any more. */
  release(): void;
}

/**
 * A pack of files, in memory that many packs use one after the other: it is given back as soon as storage has the bytes.
 * Should they be wanted once more, the files are read again. Memory that is used for the first time costs more than what is
 * read into it: the system has to find each page.
 */
export class PackMemory implements PackBytes {
  readonly #files: FileList;
  readonly #indexes: readonly FileIndex[];
  readonly #readers: Readers;
  readonly #pool: Pool<SharedArrayBuffer>;
  readonly #scan: boolean;
  #memory: SharedArrayBuffer | null = null;
  #pack: ReadPack | null = null;

  /** @param scan whether the files are looked through for secrets when they are first read */
  constructor(
    files: FileList,
    indexes: readonly FileIndex[],
    readers: Readers,
    pool: Pool<SharedArrayBuffer>,
    scan = false,
  ) {
    this.#files = files;
    this.#indexes = indexes;
    this.#readers = readers;
    this.#pool = pool;
    this.#scan = scan;
  }

  get digest(): Digest {
    return this.#read.digest;
  }

  /** Of the files, 32 bytes each, in their order. */
  get digests(): Uint8Array<ArrayBuffer> {
    return this.#read.digests;
  }

  /** Of the files that have any, by their places. */
  get secrets(): ReadPack['secrets'] {
    return this.#read.secrets;
  }

  bytes(): Buffer {
    return Buffer.from(this.memory());
  }

  memory(): SharedArrayBuffer {
    if (this.#memory === null) throw new Error('the bytes of the pack are not held');
    return this.#memory;
  }

  /** @throws CliError file_changed, file_unreadable */
  async hold(): Promise<void> {
    if (this.#memory !== null) return;
    const memory = await this.#pool.take();
    this.#memory = memory;
    const before = this.#pack;
    const pack = await this.#readers.pack(this.#files, this.#indexes, memory, this.#scan && before === null);
    if (before === null) this.#pack = pack;
    else this.#assertSame(before, pack);
  }

  release(): void {
    if (this.#memory !== null) this.#pool.give(this.#memory);
    this.#memory = null;
  }

  #assertSame(before: ReadPack, now: ReadPack): void {
    if (before.digest === now.digest) return;
    const changed = this.#indexes.findIndex((_, place) => {
      const at = place * RAW_DIGEST_SIZE;
      return Buffer.compare(
        before.digests.subarray(at, at + RAW_DIGEST_SIZE),
        now.digests.subarray(at, at + RAW_DIGEST_SIZE),
      );
    });
    throw fileChanged(this.#files.path(this.#indexes[Math.max(0, changed)] as FileIndex));
  }

  get #read(): ReadPack {
    if (this.#pack === null) throw new Error('the pack was never held');
    return this.#pack;
  }
}
