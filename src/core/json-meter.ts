import { StoreError } from './errors.ts';

export interface JsonLimits {
  depth: number;
  /** Counted by commas and opening brackets. */
  values: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
/** `[` and `]`; `{` and `}` differ from them by one bit. */
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CURLY = 0x20;

/**
 * Counts the nesting and the values of a JSON text while its bytes arrive, before it is parsed: a few megabytes of `[0,0,…`
 * or `[[[…` take seconds to parse and validate. Leaves syntax errors to the parser.
 */
export class JsonMeter {
  readonly #limits: JsonLimits;
  #depth = 0;
  #values = 0;
  #inString = false;
  #escaped = false;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
  }

  /** @throws StoreError invalid_request */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] as number;
      if (this.#inString) this.#readString(byte);
      else if (byte === QUOTE) this.#inString = true;
      else if (byte === COMMA) this.#count();
      else if ((byte & ~CURLY) === OPEN) this.#enter();
      else if ((byte & ~CURLY) === CLOSE) this.#depth -= 1;
    }
  }

  #readString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  #enter(): void {
    this.#count();
    this.#depth += 1;
    if (this.#depth > this.#limits.depth) throw tooMuch(`is nested deeper than ${this.#limits.depth} levels`);
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > this.#limits.values) throw tooMuch(`has more than ${this.#limits.values} values`);
  }
}

function tooMuch(message: string): StoreError {
  return new StoreError('invalid_request', `The body ${message}: send less in one call.`, {
    errors: [{ field: 'body', message }],
  });
}
