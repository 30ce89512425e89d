import type { SignedRequest } from '../../blob-store.ts';
import type { ObjectKey } from '../../key-layout.ts';
import { bodyHeaders, partRequest } from '../part-requests.ts';
import type { ProbeBucket, ProbeUpload } from '../probe-bucket.ts';
import { headerOf, trialOf } from '../send-trial.ts';
import type { Trial, Trials } from '../trial.ts';

/**
 * What the service itself sends (service_bytes_enforced): another endpoint and another key than clients have, so nothing
 * else speaks for it.
 */
export async function tryOwnRequests(bucket: ProbeBucket, checksums: boolean): Promise<Trials> {
  return { ...(await tryParts(bucket, checksums)), ...(await tryObjects(bucket)) };
}

/** Parts as `deliverPart` sends them. */
async function tryParts(bucket: ProbeBucket, checksums: boolean): Promise<Trials> {
  const upload = await bucket.openUpload('own-part', checksums);
  try {
    const right = await bucket.send(await signPart(bucket, upload, 1));
    const wrong = await bucket.send(await signPart(bucket, upload, 2), { body: bucket.wrong });
    const parts = await bucket.listParts(upload);
    return {
      own_part: trialOf(right, parts.get(1)?.size === bucket.right.length ? 'right' : 'nothing'),
      own_wrong_part: trialOf(wrong, parts.has(2) ? 'other' : 'nothing'),
    };
  } finally {
    await bucket.abort(upload);
  }
}

/** Objects as `writeObject` sends them. */
async function tryObjects(bucket: ProbeBucket): Promise<Trials> {
  const trials: Trials = {};
  const spoilt = [
    ['own_object', {}],
    ['own_wrong_object', { body: bucket.wrong }],
  ] as const;
  for (const [trial, spoiling] of spoilt) {
    const key = bucket.key(trial.replaceAll('_', '-'));
    const answer = await bucket.send(await signObject(bucket, key), spoiling);
    let stored: Trial['stored'] = answer.status >= 400 && answer.status < 500 ? 'nothing' : 'other';
    try {
      const bytes = await bucket.readIfThere(key);
      stored = bytes === null ? 'nothing' : bytes.equals(bucket.right) ? 'right' : 'other';
      trials[trial] = trialOf(answer, stored);
    } finally {
      // On a versioned bucket the removal of nothing leaves a mark.
      if (stored !== 'nothing') await bucket.remove(key, headerOf(answer, 'x-amz-version-id'));
    }
  }
  return trials;
}

function signPart(bucket: ProbeBucket, upload: ProbeUpload, number: number): Promise<SignedRequest> {
  const { internal, names, signing } = bucket.access;
  return signing(
    partRequest(internal, names.toName(upload.key), upload, { number, ...bucket.promised }, bucket.urlExpiry()),
  );
}

function signObject(bucket: ProbeBucket, key: ObjectKey): Promise<SignedRequest> {
  const { internal: address, names, signing } = bucket.access;
  const headers = { ...bodyHeaders(bucket.promised, false), 'if-none-match': '*' };
  return signing({ method: 'PUT', address, name: names.toName(key), headers, expiresAt: bucket.urlExpiry() });
}
