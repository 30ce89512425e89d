import type { Digest } from './digest.ts';
import { parseDigest } from './digest.ts';
import { StoreError } from './errors.ts';

/** By what files are looked for: their digest, their name, or how their names begin (from, and below `end`, by their bytes). */
export type FileSearch = { digest: Digest } | { name: string } | { from: string; end: string };

/** Characters before the `*`: fewer would find nearly everything. */
export const PREFIX_MIN = 3;

/**
 * What the caller asks for: exactly one of a digest and a name, which is the last segment of a path. A `*` at its end stands for
 * whatever follows; elsewhere it stands for itself.
 * @throws StoreError invalid_request, invalid_digest
 */
export function parseFileSearch({
  digest,
  name,
}: {
  digest?: string | undefined;
  name?: string | undefined;
}): FileSearch {
  if (digest !== undefined && name === undefined) return { digest: parseDigest(digest) };
  if (name === undefined || digest !== undefined) {
    throw wrong(
      'digest',
      'is needed, or a name: one of the two',
      'Say what is looked for: digest or name, one of the two.',
    );
  }
  if (name.includes('/')) {
    throw wrong(
      'name',
      'has a slash: it is the last segment of a path',
      'A name is the last segment of a path: leave out the folders.',
    );
  }
  if (!name.endsWith('*')) return { name };
  const from = name.slice(0, -1);
  if ([...from].length < PREFIX_MIN) {
    const message = `has fewer than ${PREFIX_MIN} characters before the *`;
    throw wrong('name', message, `The name ${JSON.stringify(name)} ${message}.`);
  }
  return { from, end: afterAll(from) };
}

/** The first text, by UTF-8 bytes, behind all that begin with this one. */
function afterAll(beginning: string): string {
  const points = [...beginning].map((character) => character.codePointAt(0) as number);
  while (points.at(-1) === LAST_POINT) points.pop();
  const last = points.pop();
  // Of what has no other character, nothing is behind it: no name is as long as this.
  if (last === undefined) return String.fromCodePoint(LAST_POINT).repeat(BEYOND_NAMES);
  return String.fromCodePoint(...points, last + 1 === SURROGATES ? BEHIND_SURROGATES : last + 1);
}

const LAST_POINT = 0x10ffff;
const SURROGATES = 0xd800;
const BEHIND_SURROGATES = 0xe000;
/** Characters of four bytes each. */
const BEYOND_NAMES = 64;

function wrong(field: string, message: string, detail: string): StoreError {
  return new StoreError('invalid_request', detail, { errors: [{ field, message }] });
}
