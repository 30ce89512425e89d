import type { StreamChecker } from '../../../src/blobs/check-thread.ts';
import { Examination } from '../../../src/blobs/examination.ts';
import { Salvage } from '../../../src/blobs/salvage.ts';
import { checkStream } from '../../../src/blobs/stream-check.ts';
import { ObjectSurvey } from '../../../src/core/object-survey.ts';

/** Checks in this thread: nothing of a step is under way any more when the event loop is quiet. */
export function checkerHere(): StreamChecker {
  return {
    check: checkStream,
    forSize: () => checkStream,
    survey: async (stream, plan) => fed(new ObjectSurvey(plan), stream),
    examine: async (stream, frames) => fed(new Examination(frames), stream),
    salvage: async (stream, frames) => fed(new Salvage(frames), stream),
    expect() {},
    close: async () => {},
  };
}

async function fed<Result>(
  check: { write(chunk: Uint8Array): void; end(): Result },
  stream: AsyncIterable<Uint8Array>,
): Promise<Result> {
  for await (const chunk of stream) check.write(chunk);
  return check.end();
}
