import type { BlobHealth, Finding } from '../blob-store.ts';
import type { S3Access } from './access.ts';
import { READS_BACK } from './guarantee-rules.ts';
import type { ProbeReport } from './probe-report.ts';
import { errorCodeOf } from './s3-errors.ts';

/**
 * What is known of a bucket: whether it answers now, and what the last probe found. Never throws.
 * @param find asks for the bucket
 */
export async function checkBucketHealth(
  { bucket, internal, clock }: S3Access,
  report: ProbeReport | null,
  verify: 'auto' | 'read',
  find: () => Promise<void>,
): Promise<BlobHealth> {
  const started = performance.now();
  const failure = await find().then(
    () => null,
    (error: unknown) => ({ error }),
  );
  return {
    kind: 's3',
    place: `bucket ${JSON.stringify(bucket)} at ${internal.protocol}//${internal.host}`,
    ok: failure === null,
    latency_ms: Math.round((performance.now() - started) * 100) / 100,
    free_bytes: null,
    guarantees: {
      ...report?.held,
      writable: failure === null && (report?.held.part_urls_work ?? false),
      part_digest_enforced: report?.enforcing ?? false,
      // S3 has neither: keys are never used twice, and the registry lets one instance complete, once.
      object_overwrite_refused: false,
      completion_exclusive: false,
    },
    findings: report === null ? [] : [verification(report, verify, clock()), ...report.findings, ...report.lock],
    ...(failure === null
      ? {}
      : {
          error: failure.error instanceof Error ? failure.error.message : String(failure.error),
          error_code: errorCodeOf(failure.error),
        }),
  };
}

/** What the guarantees together come to. */
function verification(
  { problem, enforcing, endpoint, probedAt }: ProbeReport,
  verify: 'auto' | 'read',
  now: number,
): Finding {
  const about = { guarantee: 'verified_on_arrival' } as const;
  if (problem !== null) {
    const short = 'The guarantees of the storage could not be tested, so none of them is trusted.';
    const says = `${short} ${problem}`;
    return { ...about, held: false, weight: 'warning', short, says, advice: READS_BACK };
  }
  const when = `Its part URLs were attacked through ${endpoint} ${ago(now - probedAt)} ago.`;
  if (verify === 'read') {
    const short = 'Every object is read back and hashed, as ARTIFACT_STORE_S3_VERIFY requires.';
    return { ...about, held: false, weight: 'note', short, says: `${short} ${when}`, advice: null };
  }
  if (!enforcing) {
    const short = 'Every object is read back and hashed, because the storage does not refuse all wrong bytes.';
    return { ...about, held: false, weight: 'note', short, says: `${short} ${when}`, advice: null };
  }
  const short = 'The storage refuses all bytes except the signed ones: objects of one part are not read back.';
  return { ...about, held: true, weight: 'note', short, says: `${short} ${when}`, advice: null };
}

function ago(ms: number): string {
  return ms < 120_000 ? `${Math.max(0, Math.round(ms / 1_000))} s` : `${Math.round(ms / 60_000)} minutes`;
}
