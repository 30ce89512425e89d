import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes } from './digest.ts';
import { type FrameHole, FrameSurvey } from './frame-survey.ts';
import { FrameTable } from './frame-table.ts';

/** A blob's bytes in an object's content. */
export interface Place {
  digest: Digest;
  offset: number;
  size: number;
}

/** What the registry says of an object's bytes; plain data, so that it can be sent to a thread. */
export interface SurveyPlan {
  /** Of all content. */
  digest: Digest;
  size: number;
  /** In the order of their offsets; they do not overlap. */
  places: readonly Place[];
  /** Null: what is stored is the content. */
  stored: { frames: Uint8Array; digest: Digest | null } | null;
}

/** What is wrong with an object's bytes: nothing, if there are neither bad places nor something else. */
export interface SurveyFindings {
  /** Places whose bytes are not theirs, in order. `actual`: null, when they could not be read out of their frame. */
  bad: ReadonlyArray<{ digest: Digest; actual: Digest | null }>;
  /** What is wrong where no place is, half a sentence: a tar header, the seek table, bytes too many. */
  around: string | null;
  /** The digest of all stored bytes, as they came. */
  stored: Digest;
}

/**
 * Reads all of an object, as it comes, and goes on where something is wrong: so it tells which blobs are bad, and that the others
 * are not. Whoever only wants to know whether all is right stops at the first fault (StreamCheck).
 */
export class ObjectSurvey {
  readonly #plan: SurveyPlan;
  readonly #frames: FrameSurvey | null;
  readonly #storedHash = createHash('sha256');
  /** Null when the stored bytes are the content, or one place is all of it: then another hash says the same. */
  readonly #contentHash: Hash | null;
  /** One place is all that is stored. */
  readonly #isPlain: boolean;
  readonly #bad: Array<{ digest: Digest; actual: Digest | null }> = [];
  #position = 0;
  #index = 0;
  #placeHash: Hash | null = null;
  /** The place's bytes have a hole. */
  #torn = false;
  #holes = false;

  constructor(plan: SurveyPlan) {
    const { digest, size, places, stored } = plan;
    this.#plan = plan;
    this.#frames = stored === null ? null : FrameSurvey.of(FrameTable.decode(stored.frames));
    const [first] = places;
    const isWhole = first?.offset === 0 && first.size === size && first.digest === digest;
    this.#isPlain = isWhole && stored === null;
    this.#contentHash = isWhole || stored === null ? null : createHash('sha256');
  }

  write(bytes: Uint8Array): void {
    this.#storedHash.update(bytes);
    if (this.#isPlain) this.#position += bytes.length;
    else if (this.#frames === null) this.#content(bytes);
    else for (const piece of this.#frames.write(bytes)) this.#piece(piece);
  }

  end(): SurveyFindings {
    const stored = digestFromBytes(this.#storedHash.digest());
    if (this.#frames !== null) for (const piece of this.#frames.end()) this.#piece(piece);
    if (this.#isPlain) this.#endPlain(stored);
    else this.#endPlaces();
    return { bad: this.#bad, around: this.#around(stored), stored };
  }

  #endPlain(stored: Digest): void {
    const { digest } = this.#plan;
    if (stored !== digest) this.#bad.push({ digest, actual: stored });
  }

  /** What has not come is not right. */
  #endPlaces(): void {
    for (; this.#index < this.#plan.places.length; this.#index += 1) {
      this.#bad.push({ digest: this.#place().digest, actual: null });
    }
  }

  #around(stored: Digest): string | null {
    const { size, digest, stored: form } = this.#plan;
    if (this.#position !== size) return `has ${this.#position} bytes of content, not ${size}`;
    const outside = this.#frames?.wrong ?? null;
    if (outside !== null) return outside;
    // Bad places explain other digests.
    if (this.#bad.length > 0) return null;
    if (this.#holes) return 'has a frame that cannot be read';
    const content = this.#contentHash && digestFromBytes(this.#contentHash.digest());
    if (content !== null && content !== digest) return `has the digest ${content}, not ${digest}`;
    const expected = form === null ? digest : form.digest;
    return expected === null || stored === expected
      ? null
      : `has stored bytes with the digest ${stored}, not ${expected}`;
  }

  #piece(piece: Uint8Array | FrameHole): void {
    if (piece instanceof Uint8Array) this.#content(piece);
    else this.#hole(piece.size);
  }

  #content(bytes: Uint8Array): void {
    this.#contentHash?.update(bytes);
    this.#walk(bytes.length, (from, to) => {
      this.#placeHash ??= createHash('sha256');
      this.#placeHash.update(bytes.subarray(from, to));
    });
  }

  #hole(size: number): void {
    this.#holes = true;
    this.#walk(size, () => {
      this.#torn = true;
    });
  }

  /** Goes `length` bytes on. @param inPlace is told which of them are of the place at hand */
  #walk(length: number, inPlace: (from: number, to: number) => void): void {
    const end = this.#position + length;
    for (let at = this.#position; this.#index < this.#plan.places.length; ) {
      const { offset, size } = this.#place();
      const from = Math.max(at, offset);
      if (from >= end) break;
      const to = Math.min(end, offset + size);
      inPlace(from - this.#position, to - this.#position);
      at = to;
      if (to < offset + size) break;
      this.#endPlace();
    }
    this.#position = end;
  }

  #endPlace(): void {
    const { digest } = this.#place();
    const actual = this.#torn || this.#placeHash === null ? null : digestFromBytes(this.#placeHash.digest());
    if (actual !== digest) this.#bad.push({ digest, actual });
    this.#placeHash = null;
    this.#torn = false;
    this.#index += 1;
  }

  #place(): Place {
    return this.#plan.places[this.#index] as Place;
  }
}

export function isSound({ bad, around }: SurveyFindings): boolean {
  return bad.length === 0 && around === null;
}
