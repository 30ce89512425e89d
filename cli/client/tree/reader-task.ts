import type { StoredForm } from '../../../src/core/frame-table.ts';
import { compressInPlace } from '../../../src/core/frame-writer.ts';
import {
  type FramesJob,
  type FramesOutcome,
  type HashJob,
  type HashOutcome,
  hashBuffer,
  hashFile,
  makeFrames,
} from './hash-file.ts';
import { buildPack, type PackJob, type PackOutcome } from './pack-builder.ts';

/** Content in shared memory that is to be replaced by its stored form. */
export interface CompressJob {
  memory: SharedArrayBuffer;
  /** Logical sizes of the frames, which add up to the content at the beginning of the memory. */
  frames: readonly number[];
  level: number;
}

/** Null: the content is there as it was. */
export type CompressOutcome = StoredForm | null;

/** What a reader is asked, in a form that crosses threads. */
export type ReaderTask = { hash: HashJob[] } | { frames: FramesJob } | { pack: PackJob } | { compress: CompressJob };
export type ReaderAnswer = HashOutcome[] | FramesOutcome | PackOutcome | CompressOutcome;

/** Does what tasks ask, one after the other. @param count told of bytes as they are read */
export function newReader(count: (bytes: number) => void): (task: ReaderTask) => ReaderAnswer {
  const buffer = hashBuffer();
  return (task) => {
    if ('pack' in task) return buildPack(task.pack, count);
    if ('compress' in task) return compress(task.compress);
    if ('frames' in task) return makeFrames(task.frames, buffer);
    return task.hash.map((job) => hashFile(job, buffer, count));
  };
}

function compress({ memory, frames, level }: CompressJob): CompressOutcome {
  const size = frames.reduce((sum, frame) => sum + frame, 0);
  return compressInPlace(Buffer.from(memory, 0, size), frames, level);
}
