/** Up to here a text cannot hold so many values that they cost much memory. */
const SMALL = 1024 ** 2;
/** Of values in an answer: each costs up to a hundred bytes, whatever it has in the text. */
const VALUES_MAX = 2_000_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

/** The value, or why there is none. A text of millions of tiny values would take forty times its size. */
export function parseJson(bytes: Buffer): { value: unknown } | { problem: string } {
  if (bytes.length > SMALL && !valuesWithin(bytes, VALUES_MAX)) return { problem: 'its answer has too many values' };
  try {
    return { value: JSON.parse(bytes.toString()) };
  } catch {
    return { problem: 'its answer is not JSON' };
  }
}

function valuesWithin(bytes: Buffer, most: number): boolean {
  let left = most;
  let inString = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === COMMA || byte === OPEN_LIST || byte === OPEN_OBJECT) left -= 1;
    if (left < 0) return false;
  }
  return true;
}
