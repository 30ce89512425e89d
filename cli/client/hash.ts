import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Digest, digestFromHex } from '../../src/core/digest.ts';
import type { Limits } from '../../src/core/limits.ts';
import { partSizeFor } from '../../src/core/part-plan.ts';
import { type HashJob, type HashOutcome, hashBuffer, hashFile } from './hash-file.ts';
import { type FoundFile, fileChanged, fileError } from './local-file.ts';

export interface HashedFile extends FoundFile {
  digest: Digest;
  /** Only of files that are sent in several parts. */
  parts: Array<{ digest: Digest; size: number }> | null;
}

interface Thread {
  worker: Worker;
  /** Ends the list that the thread works on. */
  settle: { resolve: (outcomes: HashOutcome[]) => void; reject: (error: Error) => void } | null;
}

const THREADS_MIN = 2;
const THREADS_MAX = 8;
/** So little is hashed faster than a thread starts. */
const FEW_FILES = 50;
const FEW_BYTES = 8 * 1024 ** 2;
/** Small files travel to a thread in lists, large ones alone. */
const LIST_FILES = 50;
const LIST_BYTES = 4 * 1024 ** 2;

/** Hashes files in a few threads. Memory is bounded by one buffer per thread, whatever the files' sizes. */
export class HashPool {
  readonly #limits: Limits;
  readonly #counter = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #threads: Thread[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Bytes read so far. */
  get bytes(): number {
    return Number(Atomics.load(this.#counter, 0));
  }

  /** In the order given. @throws CliError file_changed, file_unreadable, naming the first file that failed */
  async hash(files: readonly FoundFile[]): Promise<HashedFile[]> {
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (files.length <= FEW_FILES && bytes <= FEW_BYTES) return this.#hashHere(files);
    const lists = cutLists(files);
    const hashed: HashedFile[][] = new Array(lists.length);
    let next = 0;
    const failures: unknown[] = [];
    const work = async (thread: Thread): Promise<void> => {
      while (next < lists.length && failures.length === 0) {
        const index = next++;
        const list = lists[index] as FoundFile[];
        try {
          const outcomes = await runList(
            thread,
            list.map((file) => this.#job(file)),
          );
          hashed[index] = list.map((file, at) => conclude(file, outcomes[at]));
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(this.#start(lists.length).map(work));
    if (failures.length > 0) throw failures[0];
    return hashed.flat();
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  #job(file: FoundFile): HashJob {
    const partSize = Math.max(1, partSizeFor(file.size, this.#limits));
    return { absolute: file.absolute, identity: file.identity, partSize };
  }

  #hashHere(files: readonly FoundFile[]): HashedFile[] {
    const buffer = hashBuffer();
    const count = (bytes: number): void => void Atomics.add(this.#counter, 0, BigInt(bytes));
    return files.map((file) => conclude(file, hashFile(this.#job(file), buffer, count)));
  }

  #start(lists: number): Thread[] {
    const wanted = Math.min(lists, THREADS_MAX, Math.max(THREADS_MIN, availableParallelism()));
    while (this.#threads.length < wanted) this.#threads.push(startThread(this.#counter.buffer as SharedArrayBuffer));
    return this.#threads.slice(0, wanted);
  }
}

function startThread(counter: SharedArrayBuffer): Thread {
  // Beside this module, which is .ts in a checkout and .js in dist/.
  const file = import.meta.url.endsWith('.ts') ? './hash-worker.ts' : './hash-worker.js';
  const thread: Thread = {
    worker: new Worker(new URL(file, import.meta.url), { workerData: { counter } }),
    settle: null,
  };
  thread.worker.on('message', (outcomes: HashOutcome[]) => thread.settle?.resolve(outcomes));
  thread.worker.on('error', (error: Error) => thread.settle?.reject(error));
  thread.worker.on('exit', () => thread.settle?.reject(new Error('A hashing thread ended early.')));
  thread.worker.unref();
  return thread;
}

async function runList(thread: Thread, jobs: HashJob[]): Promise<HashOutcome[]> {
  try {
    return await new Promise<HashOutcome[]>((resolve, reject) => {
      thread.settle = { resolve, reject };
      thread.worker.ref();
      thread.worker.postMessage(jobs);
    });
  } finally {
    thread.settle = null;
    thread.worker.unref();
  }
}

function cutLists(files: readonly FoundFile[]): FoundFile[][] {
  const lists: FoundFile[][] = [];
  let list: FoundFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (list.length >= LIST_FILES || (list.length > 0 && bytes + file.size > LIST_BYTES)) {
      lists.push(list);
      list = [];
      bytes = 0;
    }
    list.push(file);
    bytes += file.size;
  }
  if (list.length > 0) lists.push(list);
  return lists;
}

function conclude(file: FoundFile, outcome: HashOutcome | undefined): HashedFile {
  if (outcome?.ok) {
    const { sha256, parts } = outcome.result;
    return {
      ...file,
      digest: digestFromHex(sha256),
      parts: parts?.map((part) => ({ digest: digestFromHex(part.sha256), size: part.size })) ?? null,
    };
  }
  if (outcome === undefined || outcome.changed) throw fileChanged(file.path);
  throw fileError(file.path, outcome);
}
