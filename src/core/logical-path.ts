import { holdsControl } from './control-characters.ts';
import { StoreError } from './errors.ts';

/** A file's path inside its package: kept exactly as given, valid, relative. Parsed once, at the boundary. */
export type LogicalPath = string & { readonly __brand: 'LogicalPath' };

export const PATH_MAX_BYTES = 1024;
export const SEGMENT_MAX_BYTES = 255;

const TOO_LONG = `is longer than ${PATH_MAX_BYTES} bytes`;

/** Why a text is no path of a package, as half a sentence; null when it is one. */
export function pathProblem(text: string): string | null {
  if (text === '') return 'is empty';
  // A character has at least one byte, so the checks below never see a very long text.
  if (text.length > PATH_MAX_BYTES) return TOO_LONG;
  if (!text.isWellFormed()) return 'is not valid Unicode (it contains half of a surrogate pair)';
  if (holdsControl(text)) return 'contains a control character';
  if (text.startsWith('/')) return 'is absolute: paths are relative to the package';
  if (Buffer.byteLength(text) > PATH_MAX_BYTES) return TOO_LONG;
  for (const segment of text.split('/')) {
    if (segment === '') return 'has an empty segment (two slashes, or a slash at its end)';
    if (segment === '.' || segment === '..') return `has a segment ${JSON.stringify(segment)}`;
    if (segment.length * 3 > SEGMENT_MAX_BYTES && Buffer.byteLength(segment) > SEGMENT_MAX_BYTES)
      return `has a segment longer than ${SEGMENT_MAX_BYTES} bytes`;
  }
  return null;
}

/** @throws StoreError invalid_path */
export function parseLogicalPath(text: string): LogicalPath {
  const problem = pathProblem(text);
  if (problem === null) return text as LogicalPath;
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  throw new StoreError('invalid_path', `The path ${JSON.stringify(shown)} ${problem}.`, { path: shown.toWellFormed() });
}

/**
 * What two paths of one package may not share: file systems that normalize names (APFS, SMB shares) would make one
 * file of two. Folder conflicts are decided on keys too.
 */
export function pathKey(path: LogicalPath): string {
  return path.normalize('NFC');
}

/** Every folder above a path, nearest last: `a/b/c` → `a`, `a/b`. */
export function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    found.push(path.slice(0, slash));
  }
  return found;
}

export interface PathConflict {
  path: LogicalPath;
  other: LogicalPath;
  kind: 'same_path' | 'same_after_nfc' | 'folder_of_other';
}

/**
 * Two paths of a batch that cannot stand in one package; null when all can. Costs as much as sorting them, however deep they
 * are; looking up every folder of every path would cost the square of their lengths.
 */
export function findConflict(paths: readonly LogicalPath[]): PathConflict | null {
  for (const conflict of conflicts(paths)) return conflict;
  return null;
}

/** Every two of them, each path beside one that came before it. */
export function* conflicts(paths: readonly LogicalPath[]): Generator<PathConflict> {
  const byKey = new Map<string, LogicalPath>();
  for (const path of paths) {
    const key = pathKey(path);
    const other = byKey.get(key);
    if (other !== undefined) yield { path, other, kind: other === path ? 'same_path' : 'same_after_nfc' };
    byKey.set(key, path);
  }
  // Keys with the same beginning are neighbours: a key can be a folder only if the next one begins with it.
  const ordered = [...byKey.keys()].sort();
  for (const [index, folder] of ordered.entries()) {
    if (!ordered[index + 1]?.startsWith(folder)) continue;
    const within = firstFrom(ordered, index + 1, `${folder}/`);
    if (!within?.startsWith(`${folder}/`)) continue;
    yield { path: byKey.get(within) as LogicalPath, other: byKey.get(folder) as LogicalPath, kind: 'folder_of_other' };
  }
}

/** The first of the sorted texts, from index `start` on, that is not less than `text`. */
function firstFrom(ordered: readonly string[], start: number, text: string): string | undefined {
  let [low, high] = [start, ordered.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ordered[middle] as string) < text) low = middle + 1;
    else high = middle;
  }
  return ordered[low];
}

/**
 * Whether every path stands behind all that a package has, by their keys' order, so that none of them can meet any of those.
 * A folder of theirs must not be a file of the package: it stands behind them too, or the last key lies in it. A folder that is
 * not behind the last key is a common beginning of both.
 * @param last the greatest key that the package has
 */
export function allBehind(last: string, paths: readonly LogicalPath[]): boolean {
  const bytes = Buffer.from(last);
  return paths.every((path) => {
    const key = pathKey(path);
    return Buffer.compare(bytes, Buffer.from(key)) < 0 && key[sharedLength(key, last)] !== '/';
  });
}

/** How many characters two texts begin with together. */
export function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared++;
  return shared;
}

/** The order of manifests and lists: by the bytes of the UTF-8 form, which UTF-16 order is not beyond U+FFFF. */
export function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** In that order. Null: no path at all. */
export function laterOf(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return comparePaths(a, b) < 0 ? b : a;
}
