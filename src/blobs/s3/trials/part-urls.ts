import { type Digest, digestHex, digestOf } from '../../../core/digest.ts';
import { StoreError } from '../../../core/errors.ts';
import type { ObjectKey } from '../../key-layout.ts';
import { checksumOf } from '../part-requests.ts';
import type { ProbeBucket, ProbeUpload } from '../probe-bucket.ts';
import { type Spoiling, type TrialAnswer, trialOf } from '../send-trial.ts';
import type { TrialName, Trials } from '../trial.ts';

const LONG_AGO_MS = 300_000;

/**
 * Part URLs of an open upload: whether they work, take other bytes than they were signed for, or take them too late
 * (part_urls_work, part_digest_enforced, part_length_enforced, part_copy_refused, part_url_expires, clocks_agree).
 * @param source an object that two trials ask to be copied
 * @throws StoreError unavailable also when the public endpoint cannot be reached
 */
export async function tryPartUrls(
  bucket: ProbeBucket,
  source: ObjectKey,
  checksums: boolean,
): Promise<{ trials: Trials; clockSkewMs: number | null }> {
  const upload = await bucket.openUpload('parts', checksums);
  try {
    const control = await bucket.send(await bucket.signPart(upload, 1));
    if (control.status === 0) throw unreachable(bucket, control.reason);
    const told = Date.parse(control.headers.date ?? '');
    const clockSkewMs = Number.isNaN(told) ? null : told - bucket.access.clock();
    return { trials: await tryEach(bucket, upload, control, trialsOn(bucket, upload, source)), clockSkewMs };
  } finally {
    await bucket.abort(upload);
  }
}

/** Each trial has a part of its own, so that one list tells what every one of them stored. */
async function tryEach(
  bucket: ProbeBucket,
  upload: ProbeUpload,
  control: TrialAnswer,
  spoilt: ReadonlyArray<[TrialName, Spoiling]>,
): Promise<Trials> {
  const answers: TrialAnswer[] = [];
  for (const [index, [, spoiling]] of spoilt.entries()) {
    answers.push(await bucket.send(await bucket.signPart(upload, index + 2, spoiling), spoiling));
  }
  const parts = await bucket.listParts(upload);
  const right = parts.get(1);
  const size = bucket.right.length;
  const trials: Trials = { part: trialOf(control, right?.size === size ? 'right' : right ? 'other' : 'nothing') };
  for (const [index, [trial]] of spoilt.entries()) {
    const part = parts.get(index + 2);
    const same = part !== undefined && part.etag === right?.etag && part.size === right.size;
    trials[trial] = trialOf(answers[index], same ? 'right' : part ? 'other' : 'nothing');
  }
  return trials;
}

function trialsOn(bucket: ProbeBucket, upload: ProbeUpload, source: ObjectKey): Array<[TrialName, Spoiling]> {
  const { right, wrong } = bucket;
  return [
    ['wrong_body', { body: wrong }],
    ['empty_body', { body: Buffer.alloc(0) }],
    ['shorter_body', { body: right.subarray(1) }],
    ['longer_body', { body: Buffer.concat([right, wrong]) }],
    ['copy_with_body', { headers: bucket.copyOf(source) }],
    ['copy_without_body', { headers: bucket.copyOf(source), body: Buffer.alloc(0) }],
    ['other_hash', { body: wrong, headers: hashHeaders(digestOf(wrong), upload.checksums) }],
    ['no_hash', { without: ['x-amz-content-sha256', 'x-amz-checksum-sha256'] }],
    ['expired', { expiresAt: bucket.access.clock() - LONG_AGO_MS }],
  ];
}

function hashHeaders(digest: Digest, checksums: boolean): Record<string, string> {
  return {
    'x-amz-content-sha256': digestHex(digest),
    ...(checksums ? { 'x-amz-checksum-sha256': checksumOf(digest) } : {}),
  };
}

function unreachable({ access }: ProbeBucket, reason: string): StoreError {
  return new StoreError(
    'unavailable',
    `the public endpoint ${access.public.protocol}//${access.public.host} cannot be reached from the service: ${reason}. Correct ARTIFACT_STORE_S3_PUBLIC_ENDPOINT, or let the service's machine reach it (DNS, firewall).`,
  );
}
