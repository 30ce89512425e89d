import { type FoundSecret, findSecrets } from '../secrets/find-secrets.ts';
import type { Span } from '../secrets/suspicion.ts';
import { type ReadFailure, type ReadJob, readFull, readUnchangedLater } from './read-whole.ts';

/** Has the rules look at parts of a file that was read before, and is still what it was then. */
export async function scanFile(
  job: ReadJob,
  spans: readonly Span[],
): Promise<{ ok: true; secrets: FoundSecret[] } | ReadFailure> {
  if (spans.length === 0) return { ok: true, secrets: [] };
  let buffer = Buffer.alloc(0);
  return readUnchangedLater<{ ok: true; secrets: FoundSecret[] }>(job, async (fd) => {
    const read = (start: number, end: number): Buffer | null => {
      if (buffer.length < end - start) buffer = Buffer.allocUnsafeSlow(end - start);
      return readFull(fd, buffer, 0, end - start, start) ? buffer.subarray(0, end - start) : null;
    };
    const secrets = await findSecrets(read, Number(job.identity.size), spans);
    return secrets === null ? null : { ok: true, secrets };
  });
}
