/**
 * Globs over paths of packages, as `pull --path` takes them (node:path's `matchesGlob`): `*` and `?` within a segment, `**` for any
 * segments, `[a-z]`, `{a,b}`; a character is one of UTF-16. What begins with a dot is matched only by a pattern that says the dot. Here they come from whoever
 * makes a package, and the service matches them: in time that grows with pattern times path, whatever the two say, which a regular
 * expression does not promise. What would need one is refused.
 */

/** Of braces, all together. */
const ALTERNATIVES_MAX = 64;
/** Of `*` and `**`: each may be tried at many places of a path. */
const STARS_MAX = 16;
/** Bytes; as long as a path. */
const GLOB_MAX = 1_024;

export type Glob = (path: string) => boolean;

/** Why this is no glob here, to be read after its name; null: it is one. */
export function globProblem(glob: string): string | null {
  if (glob === '') return 'is empty';
  if (Buffer.byteLength(glob) > GLOB_MAX) return `is longer than ${GLOB_MAX} bytes`;
  if (!glob.isWellFormed()) return 'is not valid Unicode';
  if (glob.includes('\\')) return 'contains a backslash: write [*] for a * that stands for itself';
  if ((glob.match(/\*+/g)?.length ?? 0) > STARS_MAX) return `has more than ${STARS_MAX} times a *`;
  const unset = glob.replaceAll(SET, '');
  if (/[\ud800-\udfff]/.test(glob.match(SET)?.join('') ?? ''))
    return 'has a set with a character beyond U+FFFF: write {a,b} in its place';
  if (/[[\]]/.test(unset)) return 'has a [ or ] that makes no set of single characters, such as [a-z]';
  const unbraced = unset.replaceAll(BRACES, '');
  if (/[{}]/.test(unbraced) || /[{}]/.test(glob.match(SET)?.join('') ?? ''))
    return 'has braces that are not a flat list, such as {a,b}';
  const alternatives = [...glob.matchAll(BRACES)].reduce((count, [list]) => count * list.split(',').length, 1);
  if (alternatives > ALTERNATIVES_MAX) return `has more than ${ALTERNATIVES_MAX} alternatives in braces`;
  for (const one of alternativesOf(glob)) {
    if (/[?*+@!]\(/.test(one)) return 'contains an extended pattern such as @(a|b): write {a,b}';
    const segments = one.split('/');
    if (segments.includes('')) return 'has an empty segment: paths begin and end without a /';
    if (segments.includes('.') || segments.includes('..')) return 'has a segment . or ..';
  }
  return null;
}

const SET = /\[[!^]?[^[\]/!^,{}][^[\]/,{}]*\]/g;
const BRACES = /\{[^{},]*(?:,[^{},]*)+\}/g;

/** @param glob of which `globProblem` says null */
export function compileGlob(glob: string): Glob {
  const patterns = alternativesOf(glob).map((one) => one.split('/').map(tokensOf));
  return (path) => {
    const segments = path.split('/');
    return patterns.some((pattern) => matchSegments(pattern, segments));
  };
}

function alternativesOf(glob: string): string[] {
  const [list] = glob.match(BRACES) ?? [];
  if (list === undefined) return [glob];
  const at = glob.indexOf(list);
  const [before, after] = [glob.slice(0, at), glob.slice(at + list.length)];
  return list
    .slice(1, -1)
    .split(',')
    .flatMap((word) => alternativesOf(before + word + after));
}

type Token = string | typeof ANY | typeof ONE | { not: boolean; ranges: ReadonlyArray<readonly [string, string]> };
const ANY = Symbol('any characters');
const ONE = Symbol('one character');
const DEEP = Symbol('any segments');
type Segment = readonly Token[] | typeof DEEP;

function tokensOf(segment: string): Segment {
  if (segment === '**') return DEEP;
  const tokens: Token[] = [];
  for (const [part] of segment.matchAll(/\[[^\]]*\]|\*+|./gs)) {
    if (part.startsWith('*')) tokens.push(ANY);
    else if (part === '?') tokens.push(ONE);
    else if (part.length > 2 && part.startsWith('[')) tokens.push(setOf(part.slice(1, -1)));
    else tokens.push(part);
  }
  return tokens;
}

function setOf(text: string): Token {
  const not = /^[!^]/.test(text);
  const ranges = [...text.slice(not ? 1 : 0).matchAll(/(.)-(.)|./gs)].map(([one, from, to]) =>
    from === undefined || to === undefined ? ([one, one] as const) : ([from, to] as const),
  );
  return { not, ranges };
}

/** Greedy: of several `**` only the last one is tried again. */
function matchSegments(pattern: readonly Segment[], path: readonly string[]): boolean {
  let [at, back, from] = [0, -1, 0];
  for (let next = 0; next < path.length; ) {
    const wanted = pattern[at];
    const segment = path[next] as string;
    if (wanted === DEEP) {
      back = at;
      at += 1;
      from = next;
    } else if (wanted !== undefined && matchSegment(wanted, segment)) {
      at += 1;
      next += 1;
    } else if (back >= 0 && !path[from]?.startsWith('.')) {
      from += 1;
      next = from;
      at = back + 1;
    } else return false;
  }
  return at === pattern.length;
}

/** The same of characters and `*`. */
function matchSegment(pattern: readonly Token[], segment: string): boolean {
  if (segment.startsWith('.') && pattern[0] !== '.') return false;
  let [at, back, from] = [0, -1, 0];
  for (let next = 0; next < segment.length; ) {
    const wanted = pattern[at];
    if (wanted === ANY) {
      back = at;
      at += 1;
      from = next;
    } else if (wanted !== undefined && matchesOne(wanted, segment[next] as string)) {
      at += 1;
      next += 1;
    } else if (back >= 0) {
      from += 1;
      next = from;
      at = back + 1;
    } else return false;
  }
  while (pattern[at] === ANY) at += 1;
  return at === pattern.length;
}

function matchesOne(token: Exclude<Token, typeof ANY>, character: string): boolean {
  if (token === ONE) return true;
  if (typeof token === 'string') return token === character;
  return token.not !== token.ranges.some(([from, to]) => from <= character && character <= to);
}
