import { createHash } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Digest, digestFromBytes } from '../../../src/core/digest.ts';
import { TAR_END, tarHeader, tarPadding } from '../../../src/core/tar.ts';
import { integrityFailure } from './failures.ts';

/** A member, but for its bytes. */
export interface MemberName {
  path: string;
  executable?: boolean;
}

const STEP = 1024 ** 2;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A tar file that is written to a new file, in pieces of a MiB, and hashed on the way. Calls are synchronous, but for turns for others. */
export class TarFile {
  /** Bytes written. */
  size = 0;
  readonly #fd: number;
  readonly #mtime: number;
  readonly #signal: AbortSignal;
  readonly #hash = createHash('sha256');
  readonly #step = Buffer.allocUnsafeSlow(STEP);
  readonly #piece = Buffer.allocUnsafeSlow(STEP);
  #filled = 0;

  /** @param mtime of every member, in whole seconds since 1970 @throws Error EEXIST */
  constructor(file: string, { mtime, signal }: { mtime: number; signal: AbortSignal }) {
    this.#fd = openSync(file, 'wx');
    this.#mtime = mtime;
    this.#signal = signal;
  }

  addBytes(name: MemberName, bytes: Uint8Array): void {
    this.#begin(name, bytes.length);
    this.#add(bytes);
    this.#add(tarPadding(bytes.length));
  }

  /**
   * A file of the disk, read once and hashed.
   * @throws CliError integrity_failure when it has not this size and this SHA-256 (64 hex digits); what the signal was aborted with
   */
  async addFile(name: MemberName, file: string, { size, sha256 }: { size: number; sha256: string }): Promise<void> {
    const hash = createHash('sha256');
    const fd = openSync(file, READ);
    try {
      this.#begin(name, size);
      let done = 0;
      for (let count = -1; count !== 0 && done <= size; ) {
        this.#signal.throwIfAborted();
        count = readSync(fd, this.#step, 0, STEP, done);
        const bytes = this.#step.subarray(0, count);
        hash.update(bytes);
        done += count;
        this.#add(bytes);
        if (done >= STEP) await nextTurn();
      }
      if (done !== size || hash.digest('hex') !== sha256) {
        throw integrityFailure(name.path, 'changed on the disk before it was in the bundle.');
      }
      this.#add(tarPadding(size));
    } finally {
      closeSync(fd);
    }
  }

  /** Everything is on the disk. @returns the digest of the whole tar file */
  end(): Digest {
    this.#add(TAR_END as Buffer);
    this.#flush();
    fsyncSync(this.#fd);
    return digestFromBytes(this.#hash.digest());
  }

  close(): void {
    closeSync(this.#fd);
  }

  #begin({ path, executable = false }: MemberName, size: number): void {
    this.#add(tarHeader({ path, size, executable, mtime: this.#mtime }));
  }

  #add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const some = bytes.subarray(at, at + STEP - this.#filled);
      this.#piece.set(some, this.#filled);
      this.#filled += some.length;
      at += some.length;
      if (this.#filled === STEP) this.#flush();
    }
  }

  #flush(): void {
    const piece = this.#piece.subarray(0, this.#filled);
    this.#hash.update(piece);
    for (let done = 0; done < piece.length; ) done += writeSync(this.#fd, piece, done);
    this.size += piece.length;
    this.#filled = 0;
  }
}
