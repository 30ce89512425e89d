import { ReadStream } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { SurveyFindings, SurveyPlan } from '../core/object-survey.ts';
import type { Salvaged } from '../core/pack-salvage.ts';
import { Pool } from '../core/pool.ts';
import type { Block, FromCheckThread, ToCheckThread } from './check-worker.ts';
import type { Examined } from './examination.ts';
import { type CheckBytes, type CheckPlan, checkStream } from './stream-check.ts';

/** Checks streams, large ones in a thread. */
export interface StreamChecker {
  /** Beside the event loop. Memory is bounded by a few blocks for each stream. */
  readonly check: CheckBytes;
  /** The one that fits a stream of so many bytes: few are checked between other work, the rest beside it. */
  forSize(size: number): CheckBytes;
  /**
   * Reads all of an object beside the event loop, and tells each place whose bytes are wrong.
   * @throws what the stream throws; StoreError unavailable when the thread has ended
   */
  survey(stream: AsyncIterable<Uint8Array>, plan: SurveyPlan): Promise<SurveyFindings>;
  /**
   * Finds out what the bytes of an object are, beside the event loop.
   * @param frames the encoded frame table at its end; null: there is none
   */
  readonly examine: (stream: AsyncIterable<Uint8Array>, frames: Uint8Array | null) => Promise<Examined>;
  /** Reads all of an object that is not what it should be, beside the event loop. @param frames as of `examine` */
  readonly salvage: (stream: AsyncIterable<Uint8Array>, frames: Uint8Array | null) => Promise<Salvaged>;
  /** A stream of so many bytes will come soon: what has to start may start. */
  expect(size: number): void;
  close(): Promise<void>;
}

/** Bytes that are worth messages to another thread. */
const BESIDE_FROM = 8 * 1024 ** 2;
/** What a stream hands out is gathered in blocks: a message to another thread costs as much as some tens of KiB hashed. */
const BLOCK_SIZE = 256 * 1024;
/** Blocks of one stream; when all are on their way reading waits for the thread, so memory stays bounded. */
const BLOCKS = 4;

/** A digest where one is wanted, of what is checked; or what was found out of what is examined. */
type Result = Digest | SurveyFindings | Examined | Salvaged | null;
type Task =
  | { plan: CheckPlan }
  | { survey: SurveyPlan }
  | { examine: Uint8Array | null }
  | { salvage: Uint8Array | null };

/** A stream that the thread checks. */
class Job {
  readonly worker: Worker;
  readonly result: Promise<Result>;
  failure: Error | null = null;
  readonly #blocks = new Pool<Block>(BLOCKS, () => new Uint8Array(BLOCK_SIZE));
  #resolve: (result: Result) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(worker: Worker) {
    this.worker = worker;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Awaited at the end; until then a failure is seen by `failure`.
    this.result.catch(() => {});
  }

  /** One to fill. Waits while all are on their way. @throws what is wrong with the stream */
  block(): Promise<Block> {
    return this.#blocks.take();
  }

  settle(message: FromCheckThread): void {
    if ('taken' in message) this.#blocks.give(message.taken);
    else if ('result' in message) this.#resolve(message.result);
    else if ('failed' in message) this.fail(new Error(message.failed));
    else {
      const { code, detail, extras } = message.refused;
      this.fail(new StoreError(code, detail, extras));
    }
  }

  fail(error: Error): void {
    this.failure ??= error;
    this.#blocks.end(error);
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
    const broken = (cause?: Error): void => {
      if (thread === worker) thread = null;
      const error = new StoreError('unavailable', 'The thread that checks bytes has ended: try again.', {}, { cause });
      for (const job of jobs.values()) if (job.worker === worker) job.fail(error);
    };
    worker.on('error', broken);
    worker.on('exit', () => broken());
    return worker;
  }

  function started(): Worker {
    thread ??= start();
    return thread;
  }

  async function run(
    stream: AsyncIterable<Uint8Array>,
    task: Task,
    take?: (bytes: Uint8Array) => Promise<void>,
  ): Promise<Result> {
    const id = nextId++;
    const worker = started();
    worker.ref();
    const send = (message: ToCheckThread, transfer: ArrayBuffer[] = []): void => worker.postMessage(message, transfer);
    const job = new Job(worker);
    jobs.set(id, job);
    let passing: Promise<void> = Promise.resolve();
    const pass = (block: Block, filled: number): void => {
      passing = passing.then(async () => {
        await take?.(block.subarray(0, filled));
        send({ id, block, filled }, [block.buffer]);
      });
      passing.catch((error) => job.fail(error));
    };
    try {
      send({ id, ...task });
      const file = take === undefined ? fileOf(stream) : null;
      if (file !== null) {
        send({ id, file });
        return await job.result;
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
          pass(block, filled);
          block = await job.block();
          filled = 0;
        }
        if (job.failure !== null) throw job.failure;
      }
      if (filled > 0) pass(block, filled);
      await passing;
      send({ id, end: true });
      return await job.result;
    } catch (error) {
      // What came after the first failure is its echo.
      throw job.failure ?? error;
    } finally {
      await passing.catch(() => {});
      if (stream instanceof ReadStream) stream.destroy();
      jobs.delete(id);
      send({ id, forget: true });
      // One that is being ended is waited for.
      if (worker !== closing && ![...jobs.values()].some((other) => other.worker === worker)) worker.unref();
    }
  }

  // The thread answers as it was asked.
  const check: CheckBytes = async (stream, plan, take) => (await run(stream, { plan }, take)) as Digest | null;

  return {
    check,
    survey: async (stream, survey) => (await run(stream, { survey })) as SurveyFindings,
    examine: async (stream, frames) => (await run(stream, { examine: frames })) as Examined,
    salvage: async (stream, frames) => (await run(stream, { salvage: frames })) as Salvaged,
    forSize: (size) => (size < BESIDE_FROM ? checkStream : check),
    expect(size) {
      if (size >= BESIDE_FROM && thread === null) started().unref();
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
