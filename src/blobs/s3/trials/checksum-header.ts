import { digestOf } from '../../../core/digest.ts';
import type { ProbeBucket, ProbeUpload } from '../probe-bucket.ts';
import { trialOf } from '../send-trial.ts';
import type { Trials } from '../trial.ts';

/**
 * Whether a signed checksum header is checked (checksum_header_honoured), apart from the payload hash: the other hash is
 * right in both trials. @returns `honoured`: part URLs are to carry it, those of the other trials too
 */
export async function tryChecksumHeader(bucket: ProbeBucket): Promise<{ trials: Trials; honoured: boolean }> {
  let upload: ProbeUpload;
  try {
    upload = await bucket.openUpload('checksum', true);
  } catch {
    // A server that does not know the header may refuse it.
    return { trials: {}, honoured: false };
  }
  try {
    const right = await bucket.signPart(upload, 1);
    const wrong = await bucket.signPart(upload, 2, { checksum: digestOf(bucket.wrong) });
    const answers = [await bucket.send(right), await bucket.send(wrong)] as const;
    const parts = await bucket.listParts(upload);
    return {
      trials: {
        right_checksum: trialOf(answers[0], parts.has(1) ? 'right' : 'nothing'),
        wrong_checksum: trialOf(answers[1], parts.has(2) ? 'other' : 'nothing'),
      },
      honoured: answers[0].status === 200 && parts.has(1) && answers[1].status >= 400 && !parts.has(2),
    };
  } finally {
    await bucket.abort(upload);
  }
}
