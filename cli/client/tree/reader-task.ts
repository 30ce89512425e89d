import type { StoredForm } from '../../../src/core/frame-table.ts';
import { compressInPlace } from '../../../src/core/frame-writer.ts';
import { newSuspicion, type Span } from '../secrets/suspicion.ts';
import { filesOf } from './file-batch.ts';
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
import { scanFile } from './scan-file.ts';

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

type Count = (bytes: number) => void;
type Suspect = ReturnType<typeof newSuspicion>;

/** Does what tasks ask, one after the other. @param count told of bytes as they are read */
export function newReader(count: Count): (task: ReaderTask) => Promise<ReaderAnswer> {
  const buffer = hashBuffer();
  // Its tables take a millisecond: for the first file that is looked through.
  let made: Suspect | null = null;
  const suspect: Suspect = (size) => {
    made ??= newSuspicion();
    return made(size);
  };
  return async (task) => {
    if ('pack' in task) return pack(task.pack, count, suspect);
    if ('compress' in task) return compress(task.compress);
    if ('frames' in task) return makeFrames(task.frames, buffer);
    const outcomes: HashOutcome[] = [];
    for (const job of task.hash) outcomes.push(await hash(job, buffer, count, suspect));
    return outcomes;
  };
}

/** What is suspicious of a file is read once more: few files have any. */
async function hash(job: HashJob, buffer: Buffer, count: Count, suspect: Suspect): Promise<HashOutcome> {
  if (!job.scan) return hashFile(job, buffer, count);
  const suspicion = suspect(Number(job.identity.size));
  const outcome = hashFile(job, buffer, count, suspicion);
  if (!outcome.ok) return outcome;
  const scanned = await scanFile(job, suspicion.spans());
  return scanned.ok ? { ...outcome, secrets: scanned.secrets } : scanned;
}

async function pack(job: PackJob, count: Count, suspect: Suspect): Promise<PackOutcome> {
  if (!job.scan) return buildPack(job, count);
  const suspicious = new Map<number, Span[]>();
  const outcome = buildPack(job, count, (place, content) => {
    const suspicion = suspect(content.length);
    suspicion.take(content);
    const spans = suspicion.spans();
    if (spans.length > 0) suspicious.set(place, spans);
  });
  if (!outcome.ok || suspicious.size === 0) return outcome;
  let place = 0;
  for (const file of filesOf(job.files)) {
    const spans = suspicious.get(place);
    const scanned = spans === undefined ? null : await scanFile(file, spans);
    if (scanned?.ok === false) return { ...scanned, file: place };
    if (scanned !== null && scanned.secrets.length > 0) outcome.secrets.push([place, scanned.secrets]);
    place += 1;
  }
  return outcome;
}

function compress({ memory, frames, level }: CompressJob): CompressOutcome {
  const size = frames.reduce((sum, frame) => sum + frame, 0);
  return compressInPlace(Buffer.from(memory, 0, size), frames, level);
}
