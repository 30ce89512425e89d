import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { type PackMember, PackVerifier } from '../core/pack.ts';
import { gather } from './gather.ts';

/** What an object's bytes are held against; plain data, so that it can be sent to a thread. */
export interface CheckPlan {
  /** Of a pack, where each must be and what digest it must have; null: a loose blob. */
  members: readonly PackMember[] | null;
  /** Whether the digest of all bytes is wanted. */
  whole: boolean;
}

/** Reads an object's bytes as they come. */
export class StreamCheck {
  readonly #verifier: PackVerifier | null;
  readonly #hash: Hash | null;

  constructor({ members, whole }: CheckPlan) {
    this.#verifier = members === null ? null : new PackVerifier(members);
    this.#hash = whole ? createHash('sha256') : null;
  }

  /** @throws StoreError digest_mismatch, invalid_pack, naming the member */
  write(bytes: Uint8Array): void {
    this.#verifier?.write(bytes);
    this.#hash?.update(bytes);
  }

  /** @returns the digest of all bytes, where it is wanted @throws StoreError invalid_pack */
  end(): Digest | null {
    this.#verifier?.end();
    return this.#hash && digestFromBytes(this.#hash.digest());
  }
}

/**
 * Checks a stream's bytes as they come.
 * @param take is given all bytes in their order, and may take its time; they are good until it is done
 * @returns the digest of all bytes, where it is wanted
 * @throws StoreError digest_mismatch, invalid_pack; what the stream or `take` throws
 */
export type CheckBytes = (
  stream: AsyncIterable<Uint8Array>,
  plan: CheckPlan,
  take?: (bytes: Uint8Array) => Promise<void>,
) => Promise<Digest | null>;

/** Between other work. */
export const checkStream: CheckBytes = async (stream, plan, take) => {
  const check = new StreamCheck(plan);
  for await (const bytes of take ? gather(stream) : stream) {
    // What becomes of them there goes on in another thread, mostly.
    const taken = take?.(bytes);
    try {
      check.write(bytes);
    } finally {
      await taken;
    }
  }
  return check.end();
};
