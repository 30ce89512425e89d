import { openAccess } from './access.ts';
import type { S3Options } from './options.ts';
import { ProbeBucket } from './probe-bucket.ts';
import { type ProbeReport, probeReport } from './probe-report.ts';
import type { Tried } from './trial.ts';
import { tryChecksumHeader } from './trials/checksum-header.ts';
import { tryOwnRequests } from './trials/own-requests.ts';
import { tryPartUrls } from './trials/part-urls.ts';
import { tryReads } from './trials/reads.ts';
import { tryReusedPartUrl } from './trials/reused-part-url.ts';

/** What cleaning up may take when the service stops. */
const CLEANUP_MS = 3_000;

/**
 * Tries what the bucket guarantees: through the public endpoint with part URLs as clients get them, through the internal one
 * with the requests that the service itself sends, under keys of its own that it removes again. Never throws: what could not be
 * tried has not been proved. What a process leaves that dies here, a later start removes (probe-leftovers.ts).
 * @param signal makes it stop where it is, and clean up
 */
export async function probeBackend(options: S3Options, signal?: AbortSignal): Promise<ProbeReport> {
  const access = openAccess(options);
  const endpoint = `${access.public.protocol}//${access.public.host}`;
  const probedAt = options.clock();
  // A probe that is told to stop cleans up first, if storage responds.
  const close = (): void => void setTimeout(() => access.close(), CLEANUP_MS).unref();
  signal?.addEventListener('abort', close, { once: true });
  const unseen: Told['lock'] = { wanted: options.objectLock ?? 'off', enabled: null, byDefault: null };
  let seen: Told = { trials: {}, clockSkewMs: null, lock: unseen };
  let problem: string | null = null;
  try {
    seen = await tryAll(new ProbeBucket(access, signal), unseen.wanted);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  } finally {
    signal?.removeEventListener('abort', close);
    access.close();
  }
  return probeReport({ ...seen, problem, hasUploadKey: access.hasUploadKey }, { probedAt, endpoint });
}

type Told = Pick<Tried, 'trials' | 'clockSkewMs' | 'lock'>;

/** One trial after the other, each of which removes what it made. @throws what kept them from their end */
async function tryAll(bucket: ProbeBucket, wanted: Tried['lock']['wanted']): Promise<Told> {
  const source = bucket.key('source');
  const version = await bucket.write(source, bucket.wrong);
  try {
    const checksumHeader = await tryChecksumHeader(bucket);
    const partUrls = await tryPartUrls(bucket, source, checksumHeader.honoured);
    const own = await tryOwnRequests(bucket, checksumHeader.honoured);
    const reused = await tryReusedPartUrl(bucket, source, checksumHeader.honoured);
    const reads = await tryReads(bucket, source);
    return {
      trials: { ...checksumHeader.trials, ...partUrls.trials, ...own, ...reused, ...reads },
      clockSkewMs: partUrls.clockSkewMs,
      lock: { wanted, ...(await bucket.readLock()) },
    };
  } finally {
    await bucket.remove(source, version);
  }
}
