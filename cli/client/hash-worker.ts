import { parentPort, workerData } from 'node:worker_threads';
import { type HashJob, hashBuffer, hashFile } from './hash-file.ts';

/** A thread of the hash pool: takes lists of jobs, answers with lists of outcomes in the same order. */
const counter = new BigInt64Array((workerData as { counter: SharedArrayBuffer }).counter);
const buffer = hashBuffer();

parentPort?.on('message', (jobs: HashJob[]) => {
  const outcomes = jobs.map((job) => hashFile(job, buffer, (bytes) => Atomics.add(counter, 0, BigInt(bytes))));
  parentPort?.postMessage(outcomes);
});
