import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { FrameDecoder } from '../core/frame-decoder.ts';
import { FrameTable } from '../core/frame-table.ts';
import { type PackMember, PackVerifier } from '../core/pack.ts';
import { FrameError } from '../core/zstd-frame.ts';
import { gather } from './gather.ts';

/** What an object's bytes are checked against; plain data, so that it can be sent to a thread. */
export interface CheckPlan {
  /** Of a pack, where each must be and what digest it must have; null: a loose blob. */
  members: readonly PackMember[] | null;
  /** Whether the digest of all content is wanted. */
  whole: boolean;
  /** How the bytes stand for their content; null: they are the content. */
  stored: StoredPlan | null;
}

export interface StoredPlan {
  /** The encoded frame table. */
  frames: Uint8Array;
  /** That the stored bytes must have; null: storage vouches for them. */
  digest: Digest | null;
}

/** Reads an object's bytes as they come. */
export class StreamCheck {
  readonly #content: ContentCheck;
  readonly #stored: StoredCheck | null;

  constructor({ members, whole, stored }: CheckPlan) {
    this.#content = new ContentCheck(members, whole);
    this.#stored = stored === null ? null : new StoredCheck(stored);
  }

  /** @throws StoreError digest_mismatch, invalid_pack, naming the member; invalid_frames */
  write(bytes: Uint8Array): void {
    if (this.#stored === null) this.#content.write(bytes);
    else this.#stored.write(bytes, (content) => this.#content.write(content));
  }

  /** @returns the digest of all content, where it is wanted @throws StoreError invalid_pack, invalid_frames, digest_mismatch */
  end(): Digest | null {
    this.#stored?.end();
    return this.#content.end();
  }
}

class ContentCheck {
  readonly #verifier: PackVerifier | null;
  readonly #hash: Hash | null;

  constructor(members: readonly PackMember[] | null, whole: boolean) {
    this.#verifier = members === null ? null : new PackVerifier(members);
    this.#hash = whole ? createHash('sha256') : null;
  }

  write(bytes: Uint8Array): void {
    this.#verifier?.write(bytes);
    this.#hash?.update(bytes);
  }

  end(): Digest | null {
    this.#verifier?.end();
    return this.#hash && digestFromBytes(this.#hash.digest());
  }
}

class StoredCheck {
  readonly #decoder: FrameDecoder;
  readonly #digest: Digest | null;
  readonly #hash: Hash | null;

  constructor({ frames, digest }: StoredPlan) {
    this.#decoder = FrameDecoder.whole(FrameTable.decode(frames));
    this.#digest = digest;
    this.#hash = digest === null ? null : createHash('sha256');
  }

  write(bytes: Uint8Array, take: (content: Uint8Array) => void): void {
    this.#hash?.update(bytes);
    refusing(() => {
      for (const content of this.#decoder.write(bytes)) take(content);
    });
  }

  end(): void {
    refusing(() => this.#decoder.end());
    const actual = this.#hash && digestFromBytes(this.#hash.digest());
    if (actual === this.#digest) return;
    throw new StoreError('digest_mismatch', `The stored bytes have the digest ${actual}, not ${this.#digest}.`, {
      expected_digest: this.#digest,
      actual_digest: actual,
    });
  }
}

function refusing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new StoreError('invalid_frames', `The object ${error.message}.`, {}, { cause: error });
  }
}

/**
 * Checks a stream's bytes as they arrive.
 * @param take is given all bytes in their order, and may take its time; they are good until it is done
 * @returns the digest of all content, where it is wanted
 * @throws StoreError digest_mismatch, invalid_pack, invalid_frames; what the stream or `take` throws
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
