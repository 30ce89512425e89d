import { JsonMeter } from '../../../src/core/json-meter.ts';
import { parseJson } from '../../../src/core/parse-json.ts';

/** Up to here a text cannot hold so many values that they cost much memory. */
const SMALL = 1024 ** 2;
/** Of an answer: each value costs up to a hundred bytes, whatever it has in the text. */
const LIMITS = { depth: 1_000, values: 2_000_000 };

/** The value, or why there is none. A text of millions of tiny values would take forty times its size. */
export function readJson(bytes: Buffer): { value: unknown } | { problem: string } {
  const tooMuch = bytes.length > SMALL ? new JsonMeter(LIMITS).write(bytes) : null;
  if (tooMuch !== null) return { problem: `its answer ${tooMuch}` };
  try {
    return { value: parseJson(bytes.toString()) };
  } catch {
    return { problem: 'its answer is not JSON' };
  }
}
