import type { ObjectKey } from '../../key-layout.ts';
import { signDownload } from '../downloads.ts';
import type { ProbeBucket } from '../probe-bucket.ts';
import { leaked, type TrialAnswer, trialOf } from '../send-trial.ts';
import type { Trial, Trials } from '../trial.ts';

/** Older than any object. */
const LONG_AGO = 'Thu, 01 Jan 1970 00:00:01 GMT';
/** What each read is signed for, ms. */
const LIFETIME_MS = 60_000;

/**
 * Reads of an object that holds the wrong bytes: signed downloads (download_urls_work, download_forced_attachment,
 * download_range_enforced), and what must give nothing (anonymous_read_refused, upload_key_write_only).
 */
export async function tryReads(bucket: ProbeBucket, source: ObjectKey): Promise<Trials> {
  const expiresAt = bucket.access.clock() + LIFETIME_MS;
  return {
    ...(await tryWhole(bucket, source, expiresAt)),
    ...(await tryRange(bucket, source, expiresAt)),
    ...(await tryWithoutRight(bucket, source, expiresAt)),
  };
}

async function tryWhole(bucket: ProbeBucket, key: ObjectKey, expiresAt: number): Promise<Trials> {
  const signed = await signDownload(bucket.access, { key, versionId: null }, { expiresAt });
  const whole = await bucket.send(signed, { body: undefined });
  const { 'content-disposition': disposition = '', 'content-type': type = '' } = whole.headers;
  const inert = disposition.startsWith('attachment') && type.startsWith('application/octet-stream');
  return {
    download: trialOf(whole, sees(whole, bucket.wrong)),
    download_headers: trialOf(whole, inert ? 'right' : 'other'),
  };
}

async function tryRange(bucket: ProbeBucket, key: ObjectKey, expiresAt: number): Promise<Trials> {
  const ref = { key, versionId: null };
  const signed = await signDownload(bucket.access, ref, { expiresAt, range: { offset: 10, size: 100 } });
  const range = await bucket.send(signed, { body: undefined });
  const all = `bytes=0-${bucket.wrong.length - 1}`;
  const wider = await bucket.send(signed, { body: undefined, headers: { range: all } });
  const none = await bucket.send(signed, { body: undefined, without: ['range'] });
  // The Range is the signed one; If-Range says that it holds for another version of the object alone, else for all of it.
  const ifTag = await bucket.send(signed, { body: undefined, headers: { 'if-range': '"x"' } });
  const ifOld = await bucket.send(signed, { body: undefined, headers: { 'if-range': LONG_AGO } });
  const right = bucket.wrong.subarray(10, 110);
  const given = (answer: TrialAnswer) => (leaked(answer) === 'nothing' ? 'nothing' : sees(answer, right));
  return {
    range: trialOf(range, sees(range, right)),
    wider_range: trialOf(wider, leaked(wider)),
    no_range: trialOf(none, leaked(none)),
    if_range_of_another: trialOf(ifTag, given(ifTag)),
    if_range_of_old: trialOf(ifOld, given(ifOld)),
  };
}

/** Without a signature, and with one by the key that clients' URLs are signed with. */
async function tryWithoutRight(bucket: ProbeBucket, key: ObjectKey, expiresAt: number): Promise<Trials> {
  const { names, public: address, uploadSigning } = bucket.access;
  const name = names.toName(key);
  const bare = { method: 'GET', url: `${address.protocol}//${address.host}${address.path(name)}`, headers: {} };
  const anonymous = await bucket.send(bare, { body: undefined });
  const theirs = await uploadSigning({ method: 'GET', address, name, headers: {}, expiresAt });
  const read = await bucket.send(theirs, { body: undefined });
  return {
    anonymous_read: trialOf(anonymous, leaked(anonymous)),
    upload_key_read: trialOf(read, leaked(read)),
  };
}

function sees({ body }: TrialAnswer, expected: Uint8Array): Trial['stored'] {
  return body.equals(expected) ? 'right' : 'other';
}
