import { parseJson } from './parse-json.ts';

/** A file's entry, and everything that is not the list of files: what is longer is not a manifest. */
const ENTRY_MAX = 64 * 1024;
const REST_MAX = 4 * 1024 ** 2;
const DEPTH_MAX = 64;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A JSON text in pieces; `end` gives it without the entries. Both throw what is no JSON, or no manifest. */
export interface Splitter {
  push(chunk: Buffer): void;
  end(): unknown;
}

/**
 * Cuts the entries of a manifest's list of files out of its JSON text as it comes, so that the whole is never in memory.
 * @param take gets JSON lists of whole entries, in their order
 */
export function splitManifest(take: (list: string) => void): Splitter {
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  let inFiles = false;
  /** Everything outside the list of files. */
  let rest = '';
  /** Bytes of an entry that has begun, from chunks before. */
  let begun: Buffer[] = [];
  let begunSize = 0;

  function takeEntries(bytes: Buffer): void {
    const whole = begunSize === 0 ? bytes : Buffer.concat([...begun, bytes]);
    begun = [];
    begunSize = 0;
    const text = whole.toString();
    if (text.trim() !== '') take(`[${text}]`);
  }

  function keepBegun(bytes: Buffer): void {
    if (bytes.length === 0) return;
    begun.push(bytes);
    begunSize += bytes.length;
    if (begunSize > ENTRY_MAX) throw new RangeError('an entry is too long');
  }

  function addRest(bytes: Buffer): void {
    // In Latin-1 a character is a byte, so that no character is cut in two.
    rest += bytes.toString('latin1');
    if (rest.length > REST_MAX) throw new RangeError('too long beside its files');
  }

  return {
    push(chunk) {
      /** From here on the chunk was not used. */
      let from = 0;
      /** After the last entry that is whole. */
      let whole = -1;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at];
        if (inString) {
          if (isEscaped) isEscaped = false;
          else if (byte === BACKSLASH) isEscaped = true;
          else if (byte === QUOTE) inString = false;
        } else if (byte === QUOTE) inString = true;
        else if (byte === COMMA) {
          if (inFiles && depth === 2) whole = at;
        } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
          depth += 1;
          if (depth > DEPTH_MAX) throw new RangeError('nested too deeply');
          if (depth === 2 && byte === OPEN_LIST) {
            addRest(chunk.subarray(from, at + 1));
            from = at + 1;
            inFiles = /"files"\s*:\s*\[$/.test(rest.slice(-64));
          }
        } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
          depth -= 1;
          if (inFiles && depth === 1) {
            takeEntries(chunk.subarray(from, at));
            inFiles = false;
            from = at;
            whole = -1;
          }
        }
      }
      if (!inFiles) return addRest(chunk.subarray(from));
      if (whole !== -1) {
        takeEntries(chunk.subarray(from, whole));
        from = whole + 1;
      }
      keepBegun(chunk.subarray(from));
    },
    end: () => parseJson(Buffer.from(rest, 'latin1').toString()),
  };
}
