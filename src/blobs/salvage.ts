import { FrameSurvey } from '../core/frame-survey.ts';
import { FrameTable } from '../core/frame-table.ts';
import { PackSalvage, type Salvaged } from '../core/pack-salvage.ts';

/** Reads all of an object whose bytes are not what its key says, and tells which members of a pack can be read out of it. */
export class Salvage {
  readonly #pack = new PackSalvage();
  readonly #frames: FrameSurvey | null;

  /** @param frames the encoded frame table at the object's end; null: what is stored is the content */
  constructor(frames: Uint8Array | null) {
    this.#frames = frames === null ? null : FrameSurvey.of(FrameTable.decode(frames));
  }

  write(bytes: Uint8Array): void {
    for (const piece of this.#frames === null ? [bytes] : this.#frames.write(bytes)) {
      if (piece instanceof Uint8Array) this.#pack.write(piece);
      else this.#pack.hole(piece.size);
    }
  }

  end(): Salvaged {
    return this.#pack.end();
  }
}
