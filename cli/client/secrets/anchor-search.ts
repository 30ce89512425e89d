import { ANCHOR_WORDS, type AnchorWord, type Follows } from './anchor-words.ts';

/** Pairs of letters that many words have, the most frequent first: what ends a window with one is looked at often, and in vain. */
const COMMON_PAIRS =
  'th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro si ic ne ea ra ce li ch ll be ma om ur ss pa sp ok ke pr un us ta --'.split(
    ' ',
  );

/** So many bytes around an anchor decide whether it is one: its own, those that follow, and a URL up to its `@`. */
export const ANCHOR_REACH = 1_024;

const TOKEN_MIN = 12;
/** Of a name, after its anchor; then of quotes, spaces and backslashes before what separates it from its value. */
const NAME_MAX = 32;
const BETWEEN_MAX = 8;
/** Of what stands between `://` and `@`. */
const USER_INFO_MAX = 640;

/** So many bytes of a word are what bytes are skipped by; no word is shorter. */
const WINDOW = 4;
const SKIP_MAX = WINDOW - 1;

const AT = 0x40;
const COLON = 0x3a;
const SLASH = 0x2f;
const SPACE = 0x20;

const TOKEN = classOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=.-');
const NAME = classOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-');
const BETWEEN = classOf(' \t"\'\\]`*');
const SEPARATOR = classOf('=:<');
const VALUE_ATTRIBUTE = bytesOf('value');

const PAIRS = 128 * 128;
interface Word {
  /** In small letters where the case does not count. */
  bytes: Uint8Array;
  anyCase: boolean;
  follows: Follows;
  /** Where its window begins. */
  window: number;
}

/**
 * Looks for all anchors at once (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994): two bytes tell how many
 * may be skipped, so that most bytes of a text are not looked at (docs/performance.md has what it costs).
 */
export class AnchorSearch {
  /** Of each two bytes, of which seven bits each count; 0: a word may end its first WINDOW bytes here. */
  readonly #skips = new Uint8Array(PAIRS).fill(SKIP_MAX);
  readonly #words: Array<readonly Word[]> = new Array(PAIRS).fill([]);

  constructor(words: readonly AnchorWord[] = ANCHOR_WORDS) {
    for (const { text, follows, anyCase = false } of words) {
      this.#add({ bytes: bytesOf(anyCase ? text.toLowerCase() : text), anyCase, follows, window: windowOf(text) });
    }
  }

  /** @param found told where each anchor begins, in no order; some maybe twice */
  search(bytes: Buffer, found: (at: number) => void): void {
    this.#searchWords(bytes, found);
    for (let at = bytes.indexOf(AT); at !== -1; at = bytes.indexOf(AT, at + 1)) {
      if (isUserInfo(bytes, at)) found(at);
    }
  }

  /** In both halves at once: each skip waits for the one before it, and a processor does two such rows in the time of one. */
  #searchWords(bytes: Buffer, found: (at: number) => void): void {
    const { length } = bytes;
    const middle = Math.max(WINDOW - 1, length >>> 1);
    let [one, other] = [WINDOW - 1, middle];
    while (one < middle && other < length) {
      const skip = this.#skip(bytes, one);
      const otherSkip = this.#skip(bytes, other);
      if (skip === 0) this.#check(bytes, one, found);
      if (otherSkip === 0) this.#check(bytes, other, found);
      one += skip === 0 ? 1 : skip;
      other += otherSkip === 0 ? 1 : otherSkip;
    }
    this.#searchRest(bytes, one, middle, found);
    this.#searchRest(bytes, other, length, found);
  }

  #searchRest(bytes: Buffer, from: number, to: number, found: (at: number) => void): void {
    for (let end = from; end < to; ) {
      const skip = this.#skip(bytes, end);
      if (skip === 0) this.#check(bytes, end, found);
      end += skip === 0 ? 1 : skip;
    }
  }

  #skip(bytes: Buffer, end: number): number {
    return this.#skips[(((bytes[end - 1] as number) & 0x7f) << 7) | ((bytes[end] as number) & 0x7f)] as number;
  }

  /** A word's window may end here. */
  #check(bytes: Buffer, end: number, found: (at: number) => void): void {
    const words = this.#words[
      (((bytes[end - 1] as number) & 0x7f) << 7) | ((bytes[end] as number) & 0x7f)
    ] as readonly Word[];
    for (let place = 0; place < words.length; place += 1) {
      const word = words[place] as Word;
      const start = end + 1 - WINDOW - word.window;
      if (start >= 0 && isWord(bytes, start, word) && follows(bytes, start + word.bytes.length, word)) found(start);
    }
  }

  #add(word: Word): void {
    const at = (place: number): number[] => variants(word, word.window + place);
    for (let place = 1; place < WINDOW; place += 1) {
      const skip = SKIP_MAX - place;
      for (const pair of pairs(at(place - 1), at(place))) {
        this.#skips[pair] = Math.min(this.#skips[pair] as number, skip);
        if (skip === 0) this.#words[pair] = [...(this.#words[pair] as Word[]), word];
      }
    }
  }
}

/** The one whose end is rarest. */
function windowOf(text: string): number {
  const windows = Array.from({ length: text.length - WINDOW + 1 }, (_, window) => window);
  const rarity = (window: number): number => {
    const pair = text.slice(window + WINDOW - 2, window + WINDOW).toLowerCase();
    const at = COMMON_PAIRS.indexOf(pair);
    // The ends of words.
    if (pair.endsWith(' ')) return 0;
    return at === -1 ? COMMON_PAIRS.length : at;
  };
  return windows.reduce((best, window) => (rarity(window) > rarity(best) ? window : best), 0);
}

function variants({ bytes, anyCase }: Word, place: number): number[] {
  const byte = bytes[place] as number;
  return anyCase && isSmallLetter(byte) ? [byte, byte - 0x20] : [byte];
}

function* pairs(first: readonly number[], second: readonly number[]): Generator<number> {
  for (const one of first) for (const other of second) yield ((one & 0x7f) << 7) | (other & 0x7f);
}

function isWord(bytes: Buffer, start: number, { bytes: word, anyCase }: Word): boolean {
  if (start + word.length > bytes.length) return false;
  for (let place = 0; place < word.length; place += 1) {
    const byte = bytes[start + place] as number;
    if (byte === word[place]) continue;
    if (!anyCase || (byte | 0x20) !== word[place] || !isSmallLetter(byte | 0x20)) return false;
  }
  return true;
}

/** What is cut off at the end of the bytes does not follow: where they go on, the place is searched again. */
function follows(bytes: Buffer, at: number, word: Word): boolean {
  if (word.follows === 'value') return isBeforeValue(bytes, at);
  if (word.follows === 'token') return isToken(bytes, at);
  return word.follows === 'anything' || (bytes[at] === SPACE && isToken(bytes, at + 1));
}

function isToken(bytes: Buffer, at: number): boolean {
  return run(bytes, at, TOKEN, TOKEN_MIN) === TOKEN_MIN;
}

/** `clientSecret = …`, `"clientSecret": …`, `clientSecret" value=…`, `clientSecret</td>…` */
function isBeforeValue(bytes: Buffer, from: number): boolean {
  const name = from + run(bytes, from, NAME, NAME_MAX);
  const at = name + run(bytes, name, BETWEEN, BETWEEN_MAX);
  if (at >= bytes.length) return false;
  const byte = bytes[at] as number;
  return SEPARATOR[byte] === 1 || (byte === VALUE_ATTRIBUTE[0] && at > name && isValueAttribute(bytes, at));
}

function isValueAttribute(bytes: Buffer, at: number): boolean {
  return VALUE_ATTRIBUTE.every((byte, place) => bytes[at + place] === byte);
}

/** `scheme://user:password` stands before the `@`. */
function isUserInfo(bytes: Buffer, at: number): boolean {
  let colon = false;
  for (let back = at - 1; back > 1 && at - back <= USER_INFO_MAX; back -= 1) {
    const byte = bytes[back] as number;
    if (byte === SLASH) return colon && bytes[back - 1] === SLASH && bytes[back - 2] === COLON;
    if (byte <= SPACE || byte === AT) return false;
    if (byte === COLON) colon = true;
  }
  return false;
}

function run(bytes: Buffer, from: number, of: Uint8Array, most: number): number {
  let length = 0;
  while (length < most && from + length < bytes.length && of[bytes[from + length] as number] === 1) length += 1;
  return length;
}

function isSmallLetter(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}

function classOf(characters: string): Uint8Array {
  const bytes = new Uint8Array(256);
  for (const byte of bytesOf(characters)) bytes[byte] = 1;
  return bytes;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
