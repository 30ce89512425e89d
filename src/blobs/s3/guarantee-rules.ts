import type { Finding } from '../blob-store.ts';
import type { Guarantee } from './guarantees.ts';
import type { Trial, TrialName, Tried } from './trial.ts';

/** A `Date` header has whole seconds, and an answer takes its time. */
const CLOCK_SKEW_MAX_MS = 60_000;

/** When each guarantee holds, and what the operator reads. */
export interface Rule {
  trials: readonly TrialName[];
  /** What it means when it did not hold. */
  weight: Finding['weight'];
  rule(tried: Tried): boolean;
  holds: string;
  /** Without its full stop: what was seen follows. */
  fails: string;
  advice(tried: Tried): string | null;
  /** What was seen, where that is not what became of the trials. */
  told?(tried: Tried): string;
}

export const READS_BACK = 'Until then the service reads every object back, which is safe but slower.';
export const RULES: Record<Guarantee, Rule> = {
  part_urls_work: {
    weight: 'failure',
    trials: ['part'],
    rule: ({ trials }) => trials.part?.status === 200 && trials.part.stored === 'right',
    holds: 'A part sent to its signed URL is stored.',
    fails: 'A part sent to its signed URL through the public endpoint was not stored',
    advice: ({ hasUploadKey, clockSkewMs }) =>
      `${clockSkewMs === null || clocksAgree(clockSkewMs) ? '' : 'First synchronize both clocks with NTP. '}Check ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: the service must reach it too, and no proxy may change the host or the headers${
        hasUploadKey ? '. Check that the key of ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID may write to the bucket' : ''
      }. ${READS_BACK}`,
  },
  part_digest_enforced: allRefused(
    'warning',
    ['wrong_body', 'other_hash', 'no_hash'],
    'A part URL accepts only the bytes that it was signed for.',
    'A part URL accepts bytes that it was not signed for',
    () => `This server does not check the signed SHA-256 of a body: nothing to configure. ${READS_BACK}`,
  ),
  part_length_enforced: allRefused(
    'warning',
    ['empty_body', 'shorter_body', 'longer_body'],
    'A part URL accepts only a body of the length that it was signed for.',
    'A part URL accepts a body of another length',
    () => `Look for a proxy in front of the storage that rewrites Content-Length. ${READS_BACK}`,
  ),
  part_copy_refused: {
    weight: 'warning',
    trials: ['copy_with_body', 'copy_without_body'],
    rule: ({ trials }) =>
      [trials.copy_with_body, trials.copy_without_body].every(
        (trial) => trial !== undefined && trial.stored !== 'other',
      ),
    holds: 'A part URL cannot be turned into a copy of another object.',
    fails: 'With one extra header a part URL stores a copy of another object instead of the signed bytes',
    advice: ({ hasUploadKey }) =>
      hasUploadKey
        ? 'The key of ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID can read objects: remove that permission. Upgrade Ceph to 19.2.6, 20.2.4 or later (CVE-2026-54330).'
        : `Set ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID to a key that can only write. Upgrade Ceph to 19.2.6, 20.2.4 or later (CVE-2026-54330). ${READS_BACK}`,
  },
  part_url_ends_with_upload: {
    weight: 'failure',
    trials: ['late_part', 'late_wrong_part', 'late_empty_part', 'late_copy'],
    rule: ({ trials }) =>
      [trials.late_part, trials.late_wrong_part, trials.late_empty_part, trials.late_copy].every(
        (trial) => trial !== undefined && refused(trial) && trial.stored === 'right',
      ),
    holds: 'After an object is committed, its part URLs no longer work.',
    fails: 'A part URL still works after its object was committed',
    advice: () =>
      'This server must not be used for preservation: a committed object could be changed. Use another server or version.',
  },
  part_url_expires: allRefused(
    'warning',
    ['expired'],
    'An expired part URL is refused.',
    'An expired part URL is still accepted',
    () => "Check the storage server's clock (NTP).",
  ),
  part_url_method_bound: {
    weight: 'warning',
    trials: ['get', 'post', 'delete'],
    rule: ({ trials }) =>
      [trials.get, trials.post, trials.delete].every(
        (trial) => trial !== undefined && refused(trial) && trial.stored === 'right',
      ),
    holds: 'A part URL works only for PUT.',
    fails: 'A part URL can be used with another method',
    advice: () => 'The server or a proxy in front of it does not check signatures fully: use another.',
  },
  service_bytes_enforced: {
    weight: 'warning',
    trials: ['own_part', 'own_wrong_part', 'own_object', 'own_wrong_object'],
    rule: ({ trials }) =>
      [trials.own_part, trials.own_object].every((trial) => trial?.status === 200 && trial.stored === 'right') &&
      isHarmless(trials.own_wrong_part) &&
      isHarmless(trials.own_wrong_object),
    holds: "In the service's own requests the storage accepts only the bytes that were signed.",
    fails: "In the service's own requests the storage was not seen to accept only the bytes that were signed",
    advice: () =>
      `Check ARTIFACT_STORE_S3_ENDPOINT: look for a proxy that changes bodies or headers, or a server that does not check the signed SHA-256. ${READS_BACK}`,
  },
  checksum_header_honoured: {
    weight: 'note',
    trials: ['right_checksum', 'wrong_checksum'],
    rule: ({ trials: { right_checksum: right, wrong_checksum: wrong } }) =>
      right?.status === 200 && right.stored === 'right' && isHarmless(wrong),
    holds: 'The server also checks x-amz-checksum-sha256; part URLs contain it.',
    fails: 'The server accepts x-amz-checksum-sha256 and ignores it, or does not know it; part URLs do not use it',
    advice: () => null,
  },
  download_urls_work: {
    weight: 'failure',
    trials: ['download'],
    rule: ({ trials }) => trials.download?.status === 200 && trials.download.stored === 'right',
    holds: 'A signed download URL returns the object.',
    fails: 'A signed download URL through the public endpoint did not return the object',
    advice: () => 'Check ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: no proxy may change the host or the query.',
  },
  download_range_enforced: {
    weight: 'warning',
    trials: ['range', 'wider_range', 'no_range', 'if_range_of_another', 'if_range_of_old'],
    rule: ({ trials: { range, wider_range, no_range, if_range_of_another, if_range_of_old } }) =>
      range?.status === 206 &&
      range.stored === 'right' &&
      isHarmless(wider_range) &&
      isHarmless(no_range) &&
      // A server may pass over If-Range: then it gives the range, as it was signed.
      [if_range_of_another, if_range_of_old].every((trial) => trial !== undefined && trial.stored !== 'other'),
    holds: 'A download URL for a range returns only that range.',
    fails: 'A download URL for a range also returns other bytes of the object',
    advice: () =>
      'Callers that may not read a whole pack get its members from the service, at ARTIFACT_STORE_PUBLIC_URL: safe, but the bytes pass through it. Look for a proxy that drops or changes the Range header, or a server that lets If-Range override it.',
  },
  download_forced_attachment: {
    weight: 'warning',
    trials: ['download_headers'],
    rule: ({ trials }) => trials.download_headers?.stored === 'right',
    holds: 'Downloads come as attachments without a type of their own.',
    fails: 'The server ignores response-content-disposition or response-content-type in signed downloads',
    advice: () =>
      'A browser may show stored HTML under the address of the storage: serve nothing else from that host name.',
  },
  anonymous_read_refused: allRefused(
    'failure',
    ['anonymous_read'],
    'Nobody can read an object without a signature.',
    'An object can be read without any signature',
    () => 'The bucket is public: remove the policy or ACL that makes it so. Evidence can contain secrets.',
  ),
  upload_key_write_only: {
    weight: 'warning',
    trials: ['upload_key_read'],
    // Refused for what it asks, not for how it is signed.
    rule: ({ hasUploadKey, trials: { upload_key_read: read } }) =>
      hasUploadKey && isHarmless(read) && read?.code === 'AccessDenied',
    holds: 'Part URLs are signed with a key that cannot read.',
    fails: 'Part URLs are signed with a key that can also read',
    advice: ({ hasUploadKey }) =>
      hasUploadKey
        ? 'Remove the permission to read from the key of ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID.'
        : 'Set ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID and _S3_UPLOAD_SECRET_ACCESS_KEY to a key that can only write: that closes copy-source holes.',
  },
  clocks_agree: {
    weight: 'warning',
    trials: [],
    rule: ({ clockSkewMs }) => clocksAgree(clockSkewMs),
    holds: "The storage's clock agrees with this machine's.",
    fails: "The storage's clock does not agree with this machine's",
    advice: () =>
      'Synchronize both clocks with NTP: signed URLs expire too early or too late, and from 15 minutes on every request is refused.',
    told: ({ clockSkewMs }) =>
      clockSkewMs === null
        ? 'it does not tell the time'
        : `it is ${Math.round(Math.abs(clockSkewMs) / 1_000)} s ${clockSkewMs > 0 ? 'ahead' : 'behind'}`,
  },
};

function clocksAgree(skewMs: number | null): boolean {
  return skewMs !== null && Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS;
}

function allRefused(
  weight: Finding['weight'],
  names: readonly TrialName[],
  holds: string,
  fails: string,
  advice: (tried: Tried) => string | null,
): Rule {
  return {
    trials: names,
    weight,
    rule: ({ trials }) => names.every((name) => isHarmless(trials[name])),
    holds,
    fails,
    advice,
  };
}

/** A server that closes the connection has refused too: the control trial showed that it can be reached. */
function refused({ status }: Trial): boolean {
  return status === 0 || (status >= 400 && status < 500) || status === 501;
}

function isHarmless(trial: Trial | undefined): boolean {
  return trial !== undefined && refused(trial) && trial.stored === 'nothing';
}
