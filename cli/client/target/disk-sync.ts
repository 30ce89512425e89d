import { execFile } from 'node:child_process';
import { closeSync, constants, fdatasync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { forEachLimit } from '../concurrency.ts';
import type { OpenTree } from './open-tree.ts';

/** So many are synced one by one sooner than the whole file system, in which others write too. */
const FEW_FILES = 200;
const AT_ONCE = 16;
/** Bytes that are worth a sync of the file system while others are still on their way. */
const WORTH = 16 * 1000 ** 2;

/**
 * Brings files that a pull writes, and their names, to the disk: when it has ended, a power cut takes nothing of them. Many go
 * with their whole file system: one by one, 10,000 of them take twice as long as to write them. The disk is idle while
 * bytes are fetched and checked, so most of them go then, and little is left for the end.
 */
export class DiskSync {
  readonly #tree: OpenTree;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #files = 0;
  /** Bytes since the file system was synced last. */
  #bytes = 0;
  #running: Promise<void> | null = null;
  /**
   * The file system cannot be synced as a whole: no such program, or bytes that could not be written, which the system tells of
   * only once. The syncing of their own file then fails, too.
   */
  #oneByOne = process.platform !== 'linux';

  /** @param signal when it aborts, nothing more is synced */
  constructor(tree: OpenTree, signal: AbortSignal) {
    this.#tree = tree;
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
  }

  /** A small file has its name. */
  written(size: number): void {
    this.#files += 1;
    this.#bytes += size;
    if (this.#files <= FEW_FILES || this.#bytes < WORTH || this.#running !== null || this.#oneByOne) return;
    this.#running = this.#syncFileSystem().finally(() => {
      this.#running = null;
    });
  }

  /** These files, and the folders that were used, are on the disk. @throws Error of the file system, AbortError */
  async finish(paths: readonly string[]): Promise<void> {
    await this.#running;
    if (paths.length > FEW_FILES && !this.#oneByOne) await this.#syncFileSystem();
    this.#signal.throwIfAborted();
    if (paths.length > FEW_FILES && !this.#oneByOne) return;
    await forEachLimit(paths, AT_ONCE, async (path) => {
      this.#signal.throwIfAborted();
      await syncFile(this.#tree, path);
    });
    for (const folder of paths.length === 0 ? [] : this.#tree.usedFolders()) {
      folder.sync();
      await turn();
    }
  }

  close(): void {
    this.#stopped.abort();
  }

  /** syncfs(2), which Node lacks, by the program that every Linux has. */
  async #syncFileSystem(): Promise<void> {
    this.#bytes = 0;
    const options = { cwd: this.#tree.root.at('.'), signal: this.#signal };
    await promisify(execFile)('sync', ['-f', '.'], options).catch(() => {
      this.#oneByOne = true;
    });
  }
}

/** One that is not there was damaged in the store. */
async function syncFile(tree: OpenTree, path: string): Promise<void> {
  const folder = tree.find(path);
  if (!folder?.look(basename(path))?.isFile()) return;
  const fd = openSync(folder.at(basename(path)), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await promisify(fdatasync)(fd);
  } finally {
    closeSync(fd);
  }
}
