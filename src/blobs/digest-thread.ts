import { Worker } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import type { FromDigestThread, ToDigestThread } from './digest-worker.ts';

/** Hashes streams beside the event loop. */
export interface StreamDigester {
  /** Reads the stream to its end. @throws what the stream throws */
  digestOf(stream: AsyncIterable<Uint8Array>): Promise<Digest>;
  close(): Promise<void>;
}

/** Pieces on their way to the thread, of one stream: reading waits for hashing, so memory stays bounded. */
const PIECES_AHEAD = 16;

interface Job {
  /** Ends one wait for room; called for every piece that was hashed. */
  taken: () => void;
  ended: (digest: Digest) => void;
  failed: (error: Error) => void;
}

/** One thread for the streams of a process, started with the first of them. */
export function openDigestThread(): StreamDigester {
  const jobs = new Map<number, Job>();
  let nextId = 0;
  let thread: Worker | null = null;

  function start(): Worker {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './digest-worker.ts' : './digest-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.unref();
    worker.on('message', (message: FromDigestThread) => {
      const job = jobs.get(message.id);
      if ('digest' in message) job?.ended(message.digest);
      else job?.taken();
    });
    const broken = (error: Error): void => {
      if (thread === worker) thread = null;
      for (const job of jobs.values()) job.failed(error);
    };
    worker.on('error', broken);
    worker.on('exit', () => broken(new Error('The hashing thread ended.')));
    return worker;
  }

  return {
    async digestOf(stream) {
      const id = nextId++;
      thread ??= start();
      const worker = thread;
      const send = (message: ToDigestThread, transfer: ArrayBuffer[] = []): void =>
        worker.postMessage(message, transfer);
      let ahead = 0;
      let wake = (): void => {};
      let failure: Error | null = null;
      const digest = new Promise<Digest>((resolve, reject) => {
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
      }
    },
    async close() {
      await thread?.terminate();
    },
  };
}
