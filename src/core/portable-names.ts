import { ancestors, comparePaths, SEGMENT_MAX_BYTES } from './logical-path.ts';

/**
 * Names that Windows can hold, for the paths of a package: no reserved device name, no dot or blank at an end, none of its special
 * characters, and no two that differ by case alone. A name that is portable stays as it is, but for the later ones (in the order of
 * bytes) of those that differ by case. Every folder and file is renamed within its folder, so two paths never become one, nor one the
 * folder of another; and what has been renamed is portable.
 *
 * Paths are added in the order of their bytes. Memory: the names of one folder and of those that it lies in, and what is renamed.
 */
export class PortableNames {
  /** New names of files and folders, by their paths. */
  readonly #renamed = new Map<string, string>();
  /** The folders that the last path lies in, the root first; and the names in them so far. */
  #open: OpenFolder[] = [{ path: '', names: new Set() }];

  add(path: string): void {
    const segments = path.split('/');
    let depth = 0;
    while (depth + 1 < segments.length && this.#open[depth + 1]?.path === pathOf(segments, depth + 1)) depth += 1;
    this.#close(depth + 1);
    for (const [index, segment] of segments.entries()) {
      if (index > depth) this.#open.push({ path: pathOf(segments, index), names: new Set() });
      if (index >= depth) this.#open[index]?.names.add(segment);
    }
  }

  /** After the last path, before the first `of`. */
  end(): void {
    this.#close(0);
  }

  /** The path in an archive. */
  of(path: string): string {
    if (this.#renamed.size === 0) return path;
    return [...ancestors(path), path]
      .map((one) => this.#renamed.get(one) ?? one.slice(one.lastIndexOf('/') + 1))
      .join('/');
  }

  get changesNothing(): boolean {
    return this.#renamed.size === 0;
  }

  #close(depth: number): void {
    for (const { path, names } of this.#open.splice(depth)) {
      for (const [from, to] of renamedIn(names)) this.#renamed.set(path === '' ? from : `${path}/${from}`, to);
    }
  }
}

interface OpenFolder {
  path: string;
  names: Set<string>;
}

function pathOf(segments: readonly string[], depth: number): string {
  return segments.slice(0, depth).join('/');
}

/** @param names of one folder @returns the new names of those that cannot stay */
function* renamedIn(names: ReadonlySet<string>): Generator<[from: string, to: string]> {
  const taken = new Set<string>();
  const others: string[] = [];
  for (const name of [...names].sort(comparePaths)) {
    const key = foldedName(name);
    if (portableName(name) !== name || taken.has(key)) others.push(name);
    else taken.add(key);
  }
  const tried = new Map<string, number>();
  for (const from of others) {
    const base = portableName(from);
    let nth = tried.get(base) ?? 1;
    let to = nth === 1 ? base : numbered(base, nth);
    while (taken.has(foldedName(to))) to = numbered(base, ++nth);
    tried.set(base, nth);
    taken.add(foldedName(to));
    yield [from, to];
  }
}

/** The same for names that a file system without case, or one that normalizes Unicode, takes for the same. */
export function foldedName(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
}

/** What Windows allows in no name. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are among it
const FORBIDDEN = /[<>:"/\\|?*\u0000-\u001f\u007f-\u009f]/g;
const LAST = /[. ]+$/;
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)/i;

/** One name that Windows can hold; the same name when it is one. */
export function portableName(name: string): string {
  const allowed = withoutLast(name.replace(FORBIDDEN, '_'));
  return DEVICE.test(allowed) ? shortened(`_${allowed}`, '') : allowed;
}

function withoutLast(name: string): string {
  return name.replace(LAST, (run) => '_'.repeat(run.length));
}

const EXTENSION = /\.[^.]{1,16}$/;

/** `name~2.txt` */
function numbered(name: string, nth: number): string {
  const extension = name.length > 1 ? (EXTENSION.exec(name.slice(1))?.[0] ?? '') : '';
  return shortened(name.slice(0, name.length - extension.length), `~${nth}${extension}`);
}

/** With as much of its beginning as a name may have. */
function shortened(beginning: string, end: string): string {
  const room = SEGMENT_MAX_BYTES - Buffer.byteLength(end);
  let cut = beginning;
  while (Buffer.byteLength(cut) > room) cut = [...cut].slice(0, -1).join('');
  return withoutLast(cut + end);
}
