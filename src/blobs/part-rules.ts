import { StoreError } from '../core/errors.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import { type CheckRules, holdBack } from './hold-back.ts';
import { chunksOf } from './private-file.ts';

/** What a body must be to be taken as this part. @throws StoreError body_length_mismatch, part_digest_mismatch */
export function rulesOf(part: PlannedPart): CheckRules {
  const wrongLength = (what: string): StoreError =>
    new StoreError('body_length_mismatch', `Part ${part.number} has ${part.size} bytes; the body ${what}.`, {
      digest: part.digest,
    });
  return {
    checkSize(size) {
      if (size > part.size) throw wrongLength('is longer');
    },
    checkBytes(size, digest) {
      if (size < part.size) throw wrongLength(`ended after ${size}`);
      if (digest === part.digest) return;
      throw new StoreError(
        'part_digest_mismatch',
        `Part ${part.number} was planned with the digest ${part.digest}; the bytes sent have ${digest}.`,
        { digest: part.digest, expected_digest: part.digest, actual_digest: digest },
      );
    },
  };
}

/** Passes a body on that must be this part (hold-back.ts). @throws StoreError body_length_mismatch, part_digest_mismatch */
export function checkedChunks(part: PlannedPart, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return holdBack(chunksOf(body), rulesOf(part));
}
