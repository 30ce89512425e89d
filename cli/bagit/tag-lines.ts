import { open } from 'node:fs/promises';
import { TextDecoder } from 'node:util';
import { OPEN_FLAGS } from '../client/tree/local-file.ts';
import { badBag } from './bag-problems.ts';

const PIECE = 64 * 1024;
/** Of characters: a path and a digest have some two thousand. */
const LINE_MAX = 64 * 1024;
const LINE_BREAK = /\r\n|\n|\r/;

/**
 * The lines of a tag file, without their ends: LF, CR LF and CR, as RFC 8493 says. A byte order mark is no part of the first.
 * @param name in the bag @param label of the encoding, as `textEncoding` gives it @throws CliError bag_invalid
 */
export async function* tagLines(absolute: string, name: string, label: string): AsyncGenerator<string> {
  let decoder: TextDecoder | null = null;
  let rest = '';
  await using handle = await open(absolute, OPEN_FLAGS);
  for await (const piece of handle.createReadStream({ highWaterMark: PIECE, autoClose: false })) {
    decoder ??= new TextDecoder(byMark(label, piece), { fatal: true });
    rest += decode(decoder, name, label, piece);
    // The LF of a CR at the end may come yet.
    const whole = rest.endsWith('\r') ? rest.slice(0, -1) : rest;
    const lines = whole.split(LINE_BREAK);
    rest = (lines.pop() ?? '') + rest.slice(whole.length);
    yield* lines;
    if (rest.length > LINE_MAX) throw badBag(`${JSON.stringify(name)} has a line of more than ${LINE_MAX} characters.`);
  }
  if (decoder !== null) rest += decode(decoder, name, label);
  const last = rest.split(LINE_BREAK);
  if (last.at(-1) === '') last.pop();
  yield* last;
}

function decode(decoder: TextDecoder, name: string, label: string, piece?: Buffer): string {
  let text: string;
  try {
    text = decoder.decode(piece, { stream: piece !== undefined });
  } catch {
    throw badBag(`${JSON.stringify(name)} is not ${label} text, as bagit.txt says.`);
  }
  if (text.includes('\u0000')) throw badBag(`${JSON.stringify(name)} is no text: it contains NUL.`);
  return text;
}

/** UTF-16 without a mark is big-endian (RFC 2781). */
function byMark(label: string, { 0: first, 1: second }: Buffer): string {
  if (!/^utf-?16$/i.test(label)) return label;
  return first === 0xff && second === 0xfe ? 'utf-16le' : 'utf-16be';
}

/** Whether text in it can be read here. */
export function isKnownEncoding(label: string): boolean {
  try {
    new TextDecoder(label);
    return true;
  } catch {
    return false;
  }
}
