import {
  appendFileSync,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const sync = promisify(fdatasync);

export interface FileRange {
  index: number;
  offset: number;
  size: number;
}

/** Small enough that little is lost with a connection or a process, large enough that a request costs nothing beside it. */
export const RANGE_SIZE = 8 * 1024 ** 2;

/**
 * A large file while it arrives, in ranges, in any order. Beside it lies a journal of the ranges that are on the disk, so
 * that another process may go on: one line for each, written after the range was synced. The journal saves work and
 * proves nothing: whoever goes on hashes every byte again.
 */
export class PartialFile {
  readonly path: string;
  readonly fd: number;
  /** Bytes that were there already. */
  readonly resumedBytes: number;
  readonly #size: number;
  readonly #journal: string;
  readonly #done: Set<number>;
  /** The first range that is not done. */
  #next = 0;
  #unsynced: number[] = [];
  #syncing: Promise<void> | null = null;

  private constructor(path: string, size: number, fd: number, done: Set<number>) {
    this.path = path;
    this.fd = fd;
    this.#size = size;
    this.#journal = journalOf(path);
    this.#done = done;
    this.resumedBytes = [...done].reduce((sum, index) => sum + rangeAt(index, size).size, 0);
  }

  /** @param name the digest's hex: what is there under it is the beginning of these bytes, or worth nothing */
  static open(folder: string, name: string, size: number): PartialFile {
    const path = join(folder, `${name}.part`);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
    const done = readJournal(journalOf(path), size, fstatSync(fd).size);
    // Written anew: a line that a crash cut off would run into the next one.
    writeFileSync(journalOf(path), [titleOf(size), ...done].map((line) => `${line}\n`).join(''), { mode: 0o600 });
    return new PartialFile(path, size, fd, done);
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
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.fd, bytes, done, bytes.length - done, position + done);
    }
  }

  /** All bytes of the range were written. It is synced, and then journaled, without keeping the caller. */
  rangeDone({ index }: FileRange): void {
    this.#done.add(index);
    this.#unsynced.push(index);
    this.#syncing ??= this.#syncAll().finally(() => {
      this.#syncing = null;
    });
    this.#syncing.catch(() => {});
  }

  /** Every byte is on the disk. */
  async sync(): Promise<void> {
    await this.#syncing;
    await sync(this.fd);
  }

  async #syncAll(): Promise<void> {
    while (this.#unsynced.length > 0) {
      const ranges = this.#unsynced;
      this.#unsynced = [];
      await sync(this.fd);
      appendFileSync(this.#journal, ranges.map((index) => `${index}\n`).join(''));
    }
  }

  /** The bytes stay, to be gone on with. */
  async close(): Promise<void> {
    await this.#syncing?.catch(() => {});
    closeSync(this.fd);
  }

  /** The bytes are thrown away, or have another name now. */
  async remove(): Promise<void> {
    await this.close();
    rmSync(this.path, { force: true });
    rmSync(this.#journal, { force: true });
  }
}

export function journalOf(path: string): string {
  return path.replace(/\.part$/, '.ranges');
}

function titleOf(size: number): string {
  return `artifact-store ranges 1: ${size} bytes by ${RANGE_SIZE}`;
}

function rangeAt(index: number, size: number): FileRange {
  const offset = index * RANGE_SIZE;
  return { index, offset, size: Math.min(RANGE_SIZE, size - offset) };
}

function rangesOf(size: number): FileRange[] {
  return Array.from({ length: Math.ceil(size / RANGE_SIZE) }, (_, index) => rangeAt(index, size));
}

function readJournal(path: string, size: number, there: number): Set<number> {
  const [title, ...lines] = readText(path).split('\n');
  if (title !== titleOf(size)) return new Set();
  const indexes = lines
    .slice(0, -1)
    .filter((line) => /^\d{1,9}$/.test(line))
    .map(Number)
    .filter((index) => {
      const range = rangeAt(index, size);
      return range.size > 0 && range.offset + range.size <= there;
    });
  return new Set(indexes);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
