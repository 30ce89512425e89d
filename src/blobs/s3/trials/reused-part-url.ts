import type { SignedRequest } from '../../blob-store.ts';
import type { ObjectKey } from '../../key-layout.ts';
import type { ListedPart, ProbeBucket, ProbeUpload } from '../probe-bucket.ts';
import { type Spoiling, trialOf } from '../send-trial.ts';
import type { TrialName, Trials } from '../trial.ts';

/**
 * One part URL that has served its purpose: other methods while its upload is open (part_url_method_bound), then everything
 * again after the object was committed (part_url_ends_with_upload). @param source an object that a trial tries to copy
 */
export async function tryReusedPartUrl(bucket: ProbeBucket, source: ObjectKey, checksums: boolean): Promise<Trials> {
  const upload = await bucket.openUpload('committed', checksums);
  const signed = await bucket.signPart(upload, 1);
  let part: ListedPart | undefined;
  let trials: Trials;
  try {
    trials = await tryMethods(bucket, upload, signed);
    part = (await bucket.listParts(upload)).get(1);
  } finally {
    // None was completed yet.
    if (part === undefined) await bucket.abort(upload);
  }
  if (part === undefined) return trials;
  const version = await bucket.complete(upload, part);
  try {
    return { ...trials, ...(await tryLate(bucket, upload.key, signed, source)) };
  } finally {
    await bucket.remove(upload.key, version);
  }
}

/** On the part that the URL has stored. */
async function tryMethods(bucket: ProbeBucket, upload: ProbeUpload, signed: SignedRequest): Promise<Trials> {
  const trials: Trials = {};
  await bucket.send(signed);
  for (const method of ['get', 'post', 'delete'] as const) {
    const answer = await bucket.send(signed, { method: method.toUpperCase() });
    const part = (await bucket.listParts(upload).catch(() => new Map<number, ListedPart>())).get(1);
    trials[method] = trialOf(answer, part?.size === bucket.right.length ? 'right' : 'other');
  }
  return trials;
}

/** On the committed object. */
async function tryLate(
  bucket: ProbeBucket,
  committed: ObjectKey,
  signed: SignedRequest,
  source: ObjectKey,
): Promise<Trials> {
  const trials: Trials = {};
  const spoilt: Array<[TrialName, Spoiling]> = [
    ['late_part', {}],
    ['late_wrong_part', { body: bucket.wrong }],
    ['late_empty_part', { body: Buffer.alloc(0) }],
    ['late_copy', { headers: bucket.copyOf(source), body: Buffer.alloc(0) }],
  ];
  for (const [trial, spoiling] of spoilt) {
    const answer = await bucket.send(signed, spoiling);
    const bytes = await bucket.read(committed);
    trials[trial] = trialOf(answer, bytes?.equals(bucket.right) ? 'right' : 'other');
  }
  return trials;
}
