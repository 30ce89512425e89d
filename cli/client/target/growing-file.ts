import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Digest, digestFromBytes } from '../../../src/core/digest.ts';
import { isOwnFile } from './partial-name.ts';
import { assertFree, isFull, noRoom, place, unusable } from './whole-file.ts';

/** So many bytes are on the disk before any behind them are written: after a power cut the file goes on from there. */
const STEP = 16 * 1024 ** 2;
const OPEN = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NO_ROOM = 'Free some space there, and run the same command again: it continues where it stopped.';

/**
 * A file that arrives from its beginning to its end, under a name of its own beside the one that it gets when it is whole. What an earlier
 * run left of the same bytes is continued, from the last step on.
 */
export class GrowingFile {
  /** Bytes that were there already. */
  readonly resumedBytes: number;
  /** Bytes. */
  size: number;
  readonly #file: string;
  readonly #part: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash;
  #synced: number;

  private constructor(file: string, part: string, handle: FileHandle, there: { size: number; hash: Hash }) {
    this.#file = file;
    this.#part = part;
    this.#handle = handle;
    this.#hash = there.hash;
    this.resumedBytes = there.size;
    this.size = there.size;
    this.#synced = there.size;
  }

  /**
   * @param bytesName names the bytes: of others nothing is continued; null: of nothing
   * @throws CliError file_refused when there is a file of that name, wrong_usage when there is no such folder
   */
  static async open(file: string, bytesName: string | null, total: number | null): Promise<GrowingFile> {
    await assertFree(file);
    const name = createHash('sha256')
      .update(`${basename(file)}\0${bytesName}`)
      .digest('hex')
      .slice(0, 32);
    const part = join(dirname(file), `.artifact-store-part-${name}`);
    try {
      const handle = await openPart(part);
      const { size } = await handle.stat();
      const there = bytesName === null || total === null ? 0 : resumable(size, total);
      await handle.truncate(there);
      return new GrowingFile(file, part, handle, { size: there, hash: await hashOf(part, there) });
    } catch (error) {
      throw unusable(file, error);
    }
  }

  /** @throws CliError no_space */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      if (this.size - this.#synced >= STEP) await this.#sync();
      for (let done = 0; done < bytes.length; )
        done += (await this.#handle.write(bytes, done, bytes.length - done, this.size + done)).bytesWritten;
    } catch (error) {
      throw isFull(error) ? noRoom(this.#file, NO_ROOM, error) : error;
    }
    this.#hash.update(bytes);
    this.size += bytes.length;
  }

  /** It is whole: gives it its name. @returns the digest of all @throws CliError file_refused */
  async place(): Promise<Digest> {
    await this.#sync();
    await place(this.#part, this.#file);
    await rm(this.#part, { force: true });
    return digestFromBytes(this.#hash.digest());
  }

  /** The bytes stay, to be continued. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** They could not be continued. */
  async remove(): Promise<void> {
    await rm(this.#part, { force: true });
  }

  async #sync(): Promise<void> {
    await this.#handle.datasync();
    this.#synced = this.size;
  }
}

/** Whole steps are on the disk. */
function resumable(size: number, total: number): number {
  return size > total ? 0 : size - (size % STEP);
}

/** What is there, if it is a plain file of this user's without another name; else a new one in its place. */
async function openPart(part: string): Promise<FileHandle> {
  const there = await open(part, OPEN, 0o666).catch(() => null);
  if (there !== null) {
    if (isOwnFile(await there.stat())) return there;
    await there.close();
  }
  await rm(part, { force: true, recursive: true });
  return open(part, OPEN | constants.O_EXCL, 0o666);
}

async function hashOf(file: string, size: number): Promise<Hash> {
  const hash = createHash('sha256');
  if (size > 0) for await (const chunk of createReadStream(file, { end: size - 1 })) hash.update(chunk as Buffer);
  return hash;
}
