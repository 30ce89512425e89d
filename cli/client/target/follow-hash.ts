import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** To a thread: hash the open file up to here; `end`: and answer with the digest of all of it. */
export interface FollowOrder {
  id: number;
  fd: number;
  upTo: number;
  end: boolean;
}

export type FollowAnswer = { id: number; sha256: string } | { id: number; error: string };

/** Hashes one file behind those who write it. */
export interface Follower {
  /** The bytes before `upTo` are written, and stay. */
  advance(upTo: number): void;
  /**
   * Hex, of the whole file, which should have this size: of one that goes on behind it, of `size` bytes and one more. The
   * file must stay open until then.
   */
  finish(size: number): Promise<string>;
}

interface Waiting {
  resolve: (sha256: string) => void;
  reject: (error: Error) => void;
}

const THREADS_MAX = 4;

/**
 * Threads that hash large files beside the one that talks to the network; they start when they are needed, and keep the
 * process alive until `close`.
 */
export class FollowHash {
  readonly #workers: Worker[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #broken: Error | null = null;
  #files = 0;

  follow(fd: number): Follower {
    const id = this.#files++;
    const worker = this.#workerFor(id);
    const send = (upTo: number, end: boolean): void => worker.postMessage({ id, fd, upTo, end } satisfies FollowOrder);
    return {
      advance: (upTo) => send(upTo, false),
      finish: (size) =>
        new Promise((resolve, reject) => {
          if (this.#broken) throw this.#broken;
          this.#waiting.set(id, { resolve, reject });
          send(size + 1, true);
        }),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  #workerFor(id: number): Worker {
    const index = id % Math.min(THREADS_MAX, Math.max(1, availableParallelism()));
    const worker = this.#workers[index] ?? this.#start();
    this.#workers[index] = worker;
    return worker;
  }

  #start(): Worker {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './follow-hash-worker.ts' : './follow-hash-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.on('message', (answer: FollowAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.sha256);
    });
    const fail = (error: Error): void => {
      this.#broken ??= error;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('A hashing thread ended early.')));
    return worker;
  }
}
