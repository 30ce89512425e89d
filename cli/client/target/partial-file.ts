import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { type FileRange, RANGE_SIZE, rangeAt, rangesOf } from './file-ranges.ts';
import type { OpenFolder } from './open-folder.ts';
import { isOwnFile, journalOf, partOf } from './partial-name.ts';
import { RangeJournal } from './range-journal.ts';

const sync = promisify(fdatasync);

/**
 * A large file while it arrives, in ranges, in any order, with a journal of the ranges that are on the disk. Of an
 * earlier pull's leftovers only these ranges are kept, and no byte beyond the file's size; whether they are right shows
 * when the whole file is hashed.
 */
export class PartialFile {
  /** In its folder. */
  readonly name: string;
  readonly fd: number;
  /** Bytes that were there already. */
  readonly resumedBytes: number;
  readonly #folder: OpenFolder;
  readonly #size: number;
  readonly #journal: RangeJournal;
  readonly #done: Set<number>;
  /** The first range that is not done. */
  #next = 0;
  #unsynced: number[] = [];
  #syncing: Promise<void> | null = null;
  /** The system tells only once that bytes did not reach the disk: the next sync would say that all is well. */
  #failure: unknown = null;

  private constructor(folder: OpenFolder, name: string, size: number, fd: number) {
    const { journal, done } = RangeJournal.open(folder, journalOf(name), { size, there: cutTo(fd, size) });
    this.name = name;
    this.fd = fd;
    this.#folder = folder;
    this.#size = size;
    this.#journal = journal;
    this.#done = done;
    this.resumedBytes = [...done].reduce((sum, index) => sum + rangeAt(index, size).size, 0);
  }

  /** @param hex the digest's: what is there under it is the beginning of these bytes, or worth nothing */
  static open(folder: OpenFolder, hex: string, size: number): PartialFile {
    const name = partOf(hex);
    const fd = openPart(folder, name);
    try {
      return new PartialFile(folder, name, size, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  missing(): FileRange[] {
    return rangesOf(this.#size).filter(({ index }) => !this.#done.has(index));
  }

  /** Where the unbroken beginning ends. */
  get prefix(): number {
    while (this.#done.has(this.#next)) this.#next += 1;
    return Math.min(this.#next * RANGE_SIZE, this.#size);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#assertSound();
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.fd, bytes, done, bytes.length - done, position + done);
    }
  }

  /** All bytes of the range were written. It is synced, and then journaled, without keeping the caller. */
  rangeDone({ index }: FileRange): void {
    this.#done.add(index);
    this.#unsynced.push(index);
    this.#syncing ??= this.#syncAll()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#syncing = null;
      });
  }

  /** Every byte is on the disk. @throws Error, also when an earlier sync failed */
  async sync(): Promise<void> {
    await this.#syncing;
    this.#assertSound();
    await sync(this.fd);
  }

  /** The bytes stay, to be continued. */
  async close(): Promise<void> {
    await this.#syncing;
    this.#journal.close();
    closeSync(this.fd);
  }

  /** The bytes are thrown away, or have another name now. */
  async remove(): Promise<void> {
    await this.close();
    rmSync(this.#folder.at(this.name), { force: true });
    this.#journal.remove();
  }

  #assertSound(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #syncAll(): Promise<void> {
    while (this.#unsynced.length > 0) {
      const ranges = this.#unsynced;
      this.#unsynced = [];
      await sync(this.fd);
      this.#journal.add(ranges);
    }
  }
}

const OPEN = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What is there, if it is a plain file of this user's without another name; else a new one in its place. */
function openPart(folder: OpenFolder, name: string): number {
  const fd = openThere(folder.at(name));
  if (fd !== null) {
    if (isOwnFile(fstatSync(fd))) return fd;
    closeSync(fd);
  }
  rmSync(folder.at(name), { force: true, recursive: true });
  return openSync(folder.at(name), OPEN | constants.O_CREAT | constants.O_EXCL, 0o666);
}

function openThere(path: string): number | null {
  try {
    return openSync(path, OPEN);
  } catch {
    return null;
  }
}

/** @returns how many bytes are there then */
function cutTo(fd: number, size: number): number {
  const there = fstatSync(fd).size;
  if (there > size) ftruncateSync(fd, size);
  return Math.min(there, size);
}
