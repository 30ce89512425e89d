import { Worker } from 'node:worker_threads';
import { Pool } from '../../../src/core/pool.ts';
import type { BlockFile, WriteAnswer, WriteOrder, WriterData } from './file-writer-messages.ts';
import type { Place, Placement, PlacementFolders } from './placement.ts';

type Block = WriteOrder['block'];

/** So few files are written faster than a thread starts. */
const FEW_FILES = 250;
/** Files travel together: a message to another thread costs as much as some of them. */
const BLOCK_SIZE = 512 * 1024;
/** Of a block. Their names take memory, too. */
const FILES_MAX = 1_000;
/** So much is worth a message when the thread has nothing to do. */
const WORTH = { files: 32, bytes: 64 * 1024 };
/** When all are on their way, whoever has more waits. */
const BLOCKS = 4;
/** Larger ones are written at once: to copy them would cost more than to wait for them. */
const COPIED_MAX = BLOCK_SIZE / 4;

/**
 * Writes checked small files, many of them in a thread beside the one that talks to the network: to make a file costs more
 * than to fetch its bytes. Memory is bounded by a few blocks.
 */
export class FileWriter {
  readonly #placement: Placement;
  readonly #folders: PlacementFolders;
  /** Told of each file that has its name. */
  readonly #written: (size: number) => void;
  #worker: Worker | null = null;
  /** Sent, and not answered yet. */
  readonly #sent: Array<readonly BlockFile[]> = [];
  readonly #blocks = new Pool<Block>(BLOCKS, () => new Uint8Array(BLOCK_SIZE));
  #block: Block | null = null;
  #filled = 0;
  #files: BlockFile[] = [];
  #failure: Error | null = null;
  /** Not 0: the thread begins no other file. */
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #wake = (): void => {};

  /**
   * @param placement for what is written in this thread
   * @param signal when it aborts, nothing more is written
   */
  constructor(
    placement: Placement,
    folders: PlacementFolders,
    { written, signal }: { written: (size: number) => void; signal: AbortSignal },
  ) {
    this.#placement = placement;
    this.#folders = folders;
    this.#written = written;
    signal.addEventListener('abort', () => this.#fail(signal.reason), { once: true });
  }

  /** So many files will come, about: a thread that is worth it starts meanwhile. */
  expect(files: number): void {
    if (files > FEW_FILES) this.#worker ??= this.#start();
  }

  /**
   * The bytes may change when it returns; the files may not have their names yet.
   * @throws CliError, or the file system's error, for these files or for earlier ones
   */
  async write(places: readonly Place[], bytes: Uint8Array): Promise<void> {
    this.assertSound();
    if (this.#worker === null || bytes.length > COPIED_MAX) {
      for (const place of places) this.#writeHere(place, bytes);
      return;
    }
    for (const place of places) {
      let block = this.#blockFor(bytes.length);
      while (block === null) {
        await this.#change();
        this.assertSound();
        // Others who wait may have taken what became free.
        block = this.#blockFor(bytes.length);
      }
      block.set(bytes, this.#filled);
      this.#files.push({ place, offset: this.#filled, size: bytes.length });
      this.#filled += bytes.length;
    }
    if (this.#files.length >= WORTH.files || this.#filled >= WORTH.bytes) this.#sendWhenIdle();
  }

  /** @throws what kept a file from being written */
  assertSound(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** No more may come for a while: what is here need not wait for it. */
  send(): void {
    if (this.#block !== null && this.#files.length > 0) this.#send(this.#block);
  }

  /** When every file has its name. @throws what kept one from it */
  async flush(): Promise<void> {
    this.send();
    while (this.#failure === null && this.#sent.length > 0) await this.#change();
    this.assertSound();
  }

  /**
   * Files that were not written stay unwritten. The thread finishes the file that it is writing: it removes its own
   * temporary file.
   */
  async close(): Promise<void> {
    this.#fail(new Error('The writer was closed.'));
    while (this.#worker !== null && this.#sent.length > 0) await this.#change();
    await this.#worker?.terminate();
  }

  #writeHere(place: Place, bytes: Uint8Array): void {
    this.#placement.write(place, bytes);
    this.#written(bytes.length);
  }

  /** With room for so many bytes; null: all are on their way. */
  #blockFor(size: number): Block | null {
    const isFull = this.#filled + size > BLOCK_SIZE || this.#files.length === FILES_MAX;
    if (this.#block !== null && isFull) this.#send(this.#block);
    this.#block ??= this.#blocks.takeNow();
    return this.#block;
  }

  #send(block: Block): void {
    this.#sent.push(this.#files);
    this.#worker?.postMessage({ block, files: this.#files } satisfies WriteOrder, [block.buffer]);
    this.#block = null;
    this.#filled = 0;
    this.#files = [];
  }

  #sendWhenIdle(): void {
    if (this.#sent.length === 0) this.send();
  }

  #change(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        before();
        resolve();
      };
    });
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = () => {};
    wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    Atomics.store(this.#stop, 0, 1);
    this.#changed();
  }

  /** What the thread could not write is tried here, where its error can be thrown. */
  #take({ block, done, used }: WriteAnswer): void {
    const files = this.#sent.shift() ?? [];
    for (const { size } of files.slice(0, done)) this.#written(size);
    try {
      this.#folders.tree.addUsed(used);
      if (this.#failure === null) this.#writeRest(files.slice(done), block);
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#blocks.give(block);
    if (this.#failure === null) this.#sendWhenIdle();
    this.#changed();
  }

  #writeRest(files: readonly BlockFile[], block: Block): void {
    for (const { place, offset, size } of files) this.#writeHere(place, block.subarray(offset, offset + size));
  }

  #start(): Worker {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './file-writer-worker.ts' : './file-writer-worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: {
        root: this.#folders.tree.root.handle,
        private: this.#folders.private.handle,
        prefix: this.#folders.prefix,
        stop: this.#stop,
      } satisfies WriterData,
    });
    worker.on('message', (answer: WriteAnswer) => this.#take(answer));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => {
      this.#worker = null;
      this.#fail(new Error('The writing thread ended early.'));
    });
    return worker;
  }
}
