import { Worker } from 'node:worker_threads';
import type { ReaderAnswer, ReaderTask } from './reader-task.ts';

/** Called when a thread takes a task, and when it has answered: before it takes the next one. */
export interface Watch {
  taken(): void;
  answered(answer: ReaderAnswer): void;
}

interface Work {
  task: ReaderTask;
  bytes: number;
  /** When it was asked, as performance.now tells. */
  since: number;
  watch: Watch | null;
  resolve: (answer: ReaderAnswer) => void;
  reject: (error: Error) => void;
}

interface Thread {
  worker: Worker;
  work: Work | null;
}

/** Work of this size is worth another thread at once; other work when it has waited for so long. */
const MUCH_BYTES = 64 * 1024 ** 2;
const PATIENCE_MS = 1_000;
const STOPPED = 'A reading thread ended early.';

/** Threads that do tasks in the order in which they are asked. What finds none waits. */
export class ReaderThreads {
  readonly #counter: BigInt64Array<SharedArrayBuffer>;
  readonly #most: number;
  readonly #threads: Thread[] = [];
  readonly #waiting: Work[] = [];

  /** @param counter of bytes that are read */
  constructor(counter: BigInt64Array<SharedArrayBuffer>, most: number) {
    this.#counter = counter;
    this.#most = most;
  }

  get any(): boolean {
    return this.#threads.length > 0;
  }

  /** Starts the first thread, for work that is to come. */
  begin(): void {
    if (!this.any) this.#newThread();
  }

  do(task: ReaderTask, bytes: number, watch: Watch | null = null): Promise<ReaderAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, bytes, since: performance.now(), watch, resolve, reject });
      this.#start();
    });
  }

  /** What was asked and is not done fails. What is asked later starts new threads. */
  async stop(): Promise<void> {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(STOPPED));
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  /** Gives waiting work to a thread that has none. Each thread costs as much as some thousand small files. */
  #start(): void {
    const [work] = this.#waiting;
    if (!work) return;
    let idle = this.#threads.find((thread) => thread.work === null);
    if (!idle && this.#threads.length < this.#most) {
      const waited = performance.now() - work.since;
      if (!this.any || work.bytes >= MUCH_BYTES || waited >= PATIENCE_MS) idle = this.#newThread();
      else setTimeout(() => this.#start(), Math.ceil(PATIENCE_MS - waited)).unref();
    }
    if (!idle) return;
    this.#waiting.shift();
    idle.work = work;
    work.watch?.taken();
    idle.worker.ref();
    idle.worker.postMessage(work.task);
  }

  #newThread(): Thread {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './reader-worker.ts' : './reader-worker.js';
    const worker = new Worker(new URL(file, import.meta.url), { workerData: { counter: this.#counter.buffer } });
    const thread: Thread = { worker, work: null };
    const end = (settle: (work: Work) => void): void => {
      const { work } = thread;
      thread.work = null;
      // One that is being ended is waited for: an answer that it still gave must not let the process go before.
      if (this.#threads.includes(thread)) worker.unref();
      if (work) settle(work);
      this.#start();
    };
    worker.on('message', (answer: ReaderAnswer) => {
      end(({ watch, resolve }) => {
        watch?.answered(answer);
        resolve(answer);
      });
    });
    worker.on('error', (error: Error) => end(({ reject }) => reject(error)));
    worker.on('exit', () => {
      const place = this.#threads.indexOf(thread);
      if (place !== -1) this.#threads.splice(place, 1);
      end(({ reject }) => reject(new Error(STOPPED)));
    });
    worker.unref();
    this.#threads.push(thread);
    return thread;
  }
}
