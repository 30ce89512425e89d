import { Worker } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { FromCheckThread, ToCheckThread } from './check-worker.ts';
import type { CheckPlan } from './stream-check.ts';

/** Checks streams beside the event loop: what `checkStream` does between other work. */
export interface StreamChecker {
  /**
   * Reads the stream to its end, or to what is wrong with it. @returns the digest of all bytes, where it is wanted
   * @throws StoreError digest_mismatch, invalid_pack; what the stream throws
   */
  check(stream: AsyncIterable<Uint8Array>, plan: CheckPlan): Promise<Digest | null>;
  close(): Promise<void>;
}

/** Pieces on their way to the thread, of one stream: reading waits for it, so memory stays bounded. */
const PIECES_AHEAD = 16;

interface Job {
  /** Ends one wait for room; called for every piece that was checked. */
  taken: () => void;
  ended: (digest: Digest | null) => void;
  failed: (error: Error) => void;
}

/** One thread for the streams of a process, started with the first of them. */
export function openCheckThread(): StreamChecker {
  const jobs = new Map<number, Job>();
  let nextId = 0;
  let closed = false;
  let thread: Worker | null = null;

  function start(): Worker {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './check-worker.ts' : './check-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.on('message', (message: FromCheckThread) => settle(jobs.get(message.id), message));
    const broken = (error: Error): void => {
      if (thread === worker) thread = null;
      for (const job of jobs.values()) job.failed(error);
    };
    worker.on('error', broken);
    worker.on('exit', () => broken(new Error('The checking thread ended.')));
    return worker;
  }

  return {
    async check(stream, plan) {
      const id = nextId++;
      thread ??= start();
      const worker = thread;
      worker.ref();
      const send = (message: ToCheckThread, transfer: ArrayBuffer[] = []): void =>
        worker.postMessage(message, transfer);
      let ahead = 0;
      let wake = (): void => {};
      let failure: Error | null = null;
      const digest = new Promise<Digest | null>((resolve, reject) => {
        jobs.set(id, {
          taken: () => {
            ahead -= 1;
            wake();
          },
          ended: resolve,
          failed: (error) => {
            failure = error;
            wake();
            reject(error);
          },
        });
      });
      // Awaited at the end; until then a failure is seen by `failure`.
      digest.catch(() => {});
      try {
        send({ id, plan });
        for await (const chunk of stream) {
          // A copy of its own: what a stream hands out may be part of a buffer that it goes on using.
          const bytes = new Uint8Array(chunk);
          send({ id, bytes }, [bytes.buffer]);
          ahead += 1;
          while (ahead >= PIECES_AHEAD && failure === null) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          if (failure !== null) throw failure;
        }
        send({ id, end: true });
        return await digest;
      } finally {
        jobs.delete(id);
        send({ id, forget: true });
        if (jobs.size === 0 && !closed) worker.unref();
      }
    },
    async close() {
      closed = true;
      await thread?.terminate();
    },
  };
}

function settle(job: Job | undefined, message: FromCheckThread): void {
  if (!job) return;
  if ('taken' in message) job.taken();
  else if ('digest' in message) job.ended(message.digest);
  else if ('failed' in message) job.failed(new Error(message.failed));
  else {
    const { code, detail, extras } = message.refused;
    job.failed(new StoreError(code, detail, extras));
  }
}
