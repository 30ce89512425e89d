/** What stands for other text in a glob. */
const WILD = /[*?[\]{}()!+@|,\\]+/;
/** So many wrong letters in a name are a slip. */
const SLIPS_MAX = 2;
/** A name that has nothing of the word. */
const MISS = SLIPS_MAX + 2;

interface Word {
  text: string;
  /** It names a folder: something stands behind it. */
  isFolder: boolean;
}

/**
 * The paths that come nearest to what somebody wrote, a path or a glob: with its names in them, whole, in part, or with a
 * slip of one or two letters; upper and lower case alike. Time grows with the length of all paths, and with nothing else.
 * @param most of them, nearest first
 */
export function nearPaths(written: string, paths: Iterable<string>, most: number): string[] {
  const words = wordsOf(written);
  const near: Array<{ path: string; distance: number }> = [];
  for (const path of paths) {
    const names = path.toLowerCase().split('/');
    const distance = words.reduce((sum, word) => sum + distanceFrom(word, names), 0);
    const last = near.length < most ? MISS * words.length : (near.at(-1)?.distance ?? 0);
    if (distance >= last) continue;
    const place = near.findIndex((other) => other.distance > distance);
    near.splice(place === -1 ? near.length : place, 0, { path, distance });
    if (near.length > most) near.pop();
  }
  return near.map(({ path }) => path);
}

/** Of each name, the longest stretch that stands for itself. */
function wordsOf(written: string): Word[] {
  const names = written.toLowerCase().split('/');
  return names.flatMap((name, index) => {
    const text = name.split(WILD).reduce((longest, part) => (part.length > longest.length ? part : longest), '');
    return text === '' ? [] : [{ text, isFolder: index < names.length - 1 }];
  });
}

function distanceFrom({ text, isFolder }: Word, names: readonly string[]): number {
  let least = MISS;
  const end = isFolder ? names.length - 1 : names.length;
  for (let index = 0; index < end && least > 0; index += 1) {
    least = Math.min(least, distanceOf(text, names[index] as string));
  }
  return least;
}

function distanceOf(word: string, name: string): number {
  if (word === name) return 0;
  const [shorter, longer] = word.length < name.length ? [word, name] : [name, word];
  if (shorter.length > 1 && longer.includes(shorter)) return 1;
  const slips = slipsBetween(word, name);
  return slips <= SLIPS_MAX && slips * 2 < shorter.length ? slips : MISS;
}

/** Letters that were left out, added or replaced (Levenshtein); where they are more than SLIPS_MAX, some number above it. */
function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > SLIPS_MAX) return MISS;
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = new Array<number>(b.length + 1).fill(MISS);
    if (i <= SLIPS_MAX) row[0] = i;
    let least = row[0] as number;
    for (let j = Math.max(1, i - SLIPS_MAX); j <= Math.min(b.length, i + SLIPS_MAX); j += 1) {
      const replaced = (before[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const cost = Math.min(replaced, (before[j] as number) + 1, (row[j - 1] as number) + 1);
      row[j] = cost;
      least = Math.min(least, cost);
    }
    if (least > SLIPS_MAX) return MISS;
    before = row;
  }
  return before[b.length] as number;
}
