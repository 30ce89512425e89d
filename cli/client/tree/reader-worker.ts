import { parentPort, workerData } from 'node:worker_threads';
import { newReader, type ReaderTask } from './reader-task.ts';

/** A thread of the reader pool: takes tasks, answers in the same order. */
const counter = new BigInt64Array((workerData as { counter: SharedArrayBuffer }).counter);
const read = newReader((bytes) => Atomics.add(counter, 0, BigInt(bytes)));

parentPort?.on('message', async (task: ReaderTask) => parentPort?.postMessage(await read(task)));
