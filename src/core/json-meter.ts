export interface JsonLimits {
  depth: number;
  /** Counted by commas and opening brackets. */
  values: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
/** `[` and `]`; `{` and `}` differ from them by one bit. */
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CURLY = 0x20;

/**
 * Counts the nesting and the values of a JSON text while its bytes arrive, before it is parsed: a few megabytes of `[0,0,…`
 * or `[[[…` take seconds to parse and validate. Leaves syntax errors to the parser. Counts members too, for repeated-name.ts.
 */
export class JsonMeter {
  readonly #limits: JsonLimits;
  #depth = 0;
  #values = 0;
  #members = 0;
  #inString = false;
  #escaped = false;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
  }

  /** Of all objects so far, of JSON: outside of strings a colon stands behind each name and nowhere else. */
  get members(): number {
    return this.#members;
  }

  /** @returns what is too much of it, as half a sentence; null: nothing is */
  write(bytes: Uint8Array): string | null {
    const { depth, values } = this.#limits;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] as number;
      if (this.#inString) {
        this.#readString(byte);
        continue;
      }
      if (byte === QUOTE) this.#inString = true;
      else if (byte === COMMA) this.#values += 1;
      else if (byte === COLON) this.#members += 1;
      else if ((byte & ~CURLY) === OPEN) {
        this.#values += 1;
        this.#depth += 1;
      } else if ((byte & ~CURLY) === CLOSE) this.#depth -= 1;
      if (this.#values > values) return `has more than ${values} values`;
      if (this.#depth > depth) return `is nested deeper than ${depth} levels`;
    }
    return null;
  }

  #readString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }
}
