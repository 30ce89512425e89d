import { ReadStream } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { Block, FromCheckThread, ToCheckThread } from './check-worker.ts';
import type { CheckPlan } from './stream-check.ts';

/** Checks streams beside the event loop: what `checkStream` does between other work. */
export interface StreamChecker {
  /**
   * Reads the stream to its end, or to what is wrong with it. @returns the digest of all bytes, where it is wanted
   * @throws StoreError digest_mismatch, invalid_pack; what the stream throws
   */
  check(stream: AsyncIterable<Uint8Array>, plan: CheckPlan): Promise<Digest | null>;
  /** Something to check will come soon: what has to start may start. */
  expect(): void;
  close(): Promise<void>;
}

/** What a stream hands out is gathered in blocks: a message to another thread costs as much as some tens of KiB hashed. */
const BLOCK_SIZE = 256 * 1024;
/** Blocks of one stream; when all are on their way reading waits for the thread, so memory stays bounded. */
const BLOCKS = 4;

/** A stream that the thread checks. */
class Job {
  readonly worker: Worker;
  readonly digest: Promise<Digest | null>;
  failure: Error | null = null;
  readonly #idle: Block[] = [];
  #made = 0;
  #wake: () => void = () => {};
  #resolve: (digest: Digest | null) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(worker: Worker) {
    this.worker = worker;
    this.digest = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Awaited at the end; until then a failure is seen by `failure`.
    this.digest.catch(() => {});
  }

  /** One to fill. Waits while all are on their way. @throws what is wrong with the stream */
  async block(): Promise<Block> {
    while (this.failure === null) {
      const idle = this.#idle.pop();
      if (idle) return idle;
      if (this.#made < BLOCKS) {
        this.#made += 1;
        return new Uint8Array(BLOCK_SIZE);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    throw this.failure;
  }

  settle(message: FromCheckThread): void {
    if ('taken' in message) {
      this.#idle.push(message.taken);
      this.#wake();
    } else if ('digest' in message) this.#resolve(message.digest);
    else if ('failed' in message) this.fail(new Error(message.failed));
    else {
      const { code, detail, extras } = message.refused;
      this.fail(new StoreError(code, detail, extras));
    }
  }

  fail(error: Error): void {
    this.failure = error;
    this.#wake();
    this.#reject(error);
  }
}

/** One thread for the streams of a process, started with the first of them. */
export function openCheckThread(): StreamChecker {
  const jobs = new Map<number, Job>();
  let nextId = 0;
  let closing: Worker | null = null;
  let thread: Worker | null = null;

  function start(): Worker {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './check-worker.ts' : './check-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.on('message', (message: FromCheckThread) => jobs.get(message.id)?.settle(message));
    const broken = (error: Error): void => {
      if (thread === worker) thread = null;
      for (const job of jobs.values()) if (job.worker === worker) job.fail(error);
    };
    worker.on('error', broken);
    worker.on('exit', () => broken(new Error('The checking thread ended.')));
    return worker;
  }

  function started(): Worker {
    thread ??= start();
    return thread;
  }

  return {
    async check(stream, plan) {
      const id = nextId++;
      const worker = started();
      worker.ref();
      const send = (message: ToCheckThread, transfer: ArrayBuffer[] = []): void =>
        worker.postMessage(message, transfer);
      const job = new Job(worker);
      jobs.set(id, job);
      try {
        send({ id, plan });
        const file = fileOf(stream);
        if (file !== null) {
          send({ id, file });
          return await job.digest;
        }
        let block = await job.block();
        let filled = 0;
        for await (const chunk of stream) {
          for (let at = 0; at < chunk.length; ) {
            const some = chunk.subarray(at, at + BLOCK_SIZE - filled);
            block.set(some, filled);
            at += some.length;
            filled += some.length;
            if (filled < BLOCK_SIZE) continue;
            send({ id, block, filled }, [block.buffer]);
            block = await job.block();
            filled = 0;
          }
          if (job.failure !== null) throw job.failure;
        }
        send({ id, block, filled }, [block.buffer]);
        send({ id, end: true });
        return await job.digest;
      } finally {
        if (stream instanceof ReadStream) stream.destroy();
        jobs.delete(id);
        send({ id, forget: true });
        // One that is being ended is waited for.
        if (worker !== closing && ![...jobs.values()].some((other) => other.worker === worker)) worker.unref();
      }
    },
    expect() {
      if (thread === null) started().unref();
    },
    async close() {
      closing = thread;
      await thread?.terminate();
    },
  };
}

/** Of a stream that is a file nobody has read from yet: the file, which any thread of the process can read. */
function fileOf(stream: AsyncIterable<Uint8Array>): number | null {
  if (!(stream instanceof ReadStream) || stream.bytesRead > 0) return null;
  const { fd } = stream as ReadStream & { fd: unknown };
  return typeof fd === 'number' ? fd : null;
}
