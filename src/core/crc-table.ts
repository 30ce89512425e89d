/** The CRC-32 of members that are known, by their place in the archive. Five bytes for each. */
export class CrcTable {
  readonly #crcs: Uint32Array;
  readonly #isKnown: Uint8Array;

  constructor(members: number) {
    this.#crcs = new Uint32Array(members);
    this.#isKnown = new Uint8Array(members);
  }

  /** Bytes of memory. */
  get size(): number {
    return this.#crcs.byteLength + this.#isKnown.byteLength;
  }

  get(index: number): number | null {
    return this.#isKnown[index] === 1 ? (this.#crcs[index] as number) : null;
  }

  set(index: number, crc: number): void {
    this.#crcs[index] = crc;
    this.#isKnown[index] = 1;
  }
}
