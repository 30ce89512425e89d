import { type HashJob, type HashOutcome, hashBuffer, hashFile } from './hash-file.ts';
import { buildPack, type PackJob, type PackOutcome } from './pack-builder.ts';

/** What a reader is asked, in a form that crosses threads. */
export type ReaderTask = { hash: HashJob[] } | { pack: PackJob };
export type ReaderAnswer = HashOutcome[] | PackOutcome;

/** Does what tasks ask, one after the other. @param count told of bytes as they are read */
export function newReader(count: (bytes: number) => void): (task: ReaderTask) => ReaderAnswer {
  const buffer = hashBuffer();
  return (task) =>
    'pack' in task ? buildPack(task.pack, count) : task.hash.map((job) => hashFile(job, buffer, count));
}
