import { ancestors, SEGMENT_MAX_BYTES } from './logical-path.ts';

/**
 * Names that Windows can hold, for the paths of a package: no reserved device name, no dot or blank at an end, none of its special
 * characters, and no two that differ by case alone. A name that is portable stays as it is, but for the later ones (in the order of
 * paths) of those that differ by case. Every folder and file is renamed within its folder, so two paths never become one, nor one the
 * folder of another; and what has been renamed is portable.
 *
 * `add` all paths in the order of their bytes, then `end`, then `settle` until it says that all is settled, then ask `of`. Memory: the
 * names of one folder and of those that it lies in, and what is renamed.
 */
export class PortableNames {
  /** New names of files and folders, by their paths. */
  readonly #renamed = new Map<string, string>();
  /** The folders that the last path lies in, the root first. */
  readonly #open: Folder[] = [new Folder('')];
  /** Folders that have all their names, and whose others have no new ones yet. */
  readonly #closed: Folder[] = [];

  add(path: string): void {
    const segments = path.split('/');
    let depth = 0;
    while (depth + 1 < segments.length && this.#open[depth + 1]?.path === pathOf(segments, depth + 1)) depth += 1;
    this.#close(depth + 1);
    for (let at = depth; at < segments.length; at += 1) {
      if (at > depth) this.#open.push(new Folder(pathOf(segments, at)));
      this.#open[at]?.add(segments[at] as string);
    }
  }

  end(): void {
    this.#close(0);
  }

  /** Gives new names to so many of those that need one. @returns all have theirs, as far as their folders are known */
  settle(most = Number.POSITIVE_INFINITY): boolean {
    for (let left = most; left > 0; left -= 1) {
      const folder = this.#closed[0];
      if (folder === undefined) return true;
      const renamed = folder.renameNext();
      if (renamed === null) this.#closed.shift();
      else this.#renamed.set(renamed.path, renamed.name);
    }
    return false;
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
    this.#closed.push(...this.#open.splice(depth).filter((folder) => folder.hasOthers));
  }
}

class Folder {
  readonly path: string;
  /** Folded. */
  readonly #taken = new Set<string>();
  /** Names that cannot stay. */
  readonly #others: string[] = [];
  readonly #tried = new Map<string, number>();
  #last = '';
  #renamed = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** What lies in a folder comes together, so of its name only the last one can come again. */
  add(name: string): void {
    if (name === this.#last) return;
    this.#last = name;
    const key = foldedName(name);
    if (portableName(name) !== name || this.#taken.has(key)) this.#others.push(name);
    else this.#taken.add(key);
  }

  get hasOthers(): boolean {
    return this.#others.length > 0;
  }

  renameNext(): { path: string; name: string } | null {
    const from = this.#others[this.#renamed];
    if (from === undefined) return null;
    this.#renamed += 1;
    const base = portableName(from);
    const { stem, extension } = partsOf(base);
    // Of all that get the same names every number is tried once.
    const common = foldedName(`${stem}~${extension}`);
    let nth = this.#tried.get(common) ?? 1;
    let name = base;
    while (this.#taken.has(foldedName(name))) name = `${stem}~${++nth}${extension}`;
    this.#tried.set(common, nth);
    this.#taken.add(foldedName(name));
    return { path: this.path === '' ? from : `${this.path}/${from}`, name };
  }
}

function pathOf(segments: readonly string[], depth: number): string {
  return segments.slice(0, depth).join('/');
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
  return DEVICE.test(allowed) ? withoutLast(cutTo(`_${allowed}`, SEGMENT_MAX_BYTES)) : allowed;
}

function withoutLast(name: string): string {
  return name.replace(LAST, (run) => '_'.repeat(run.length));
}

const EXTENSION = /\.[^.]{1,16}$/;

/** `~9999999` at most. */
const NUMBER_MAX = 8;

/** Of `name~2.txt` what stands before and after the number, so short that it is a name with any number. */
function partsOf(name: string): { stem: string; extension: string } {
  const extension = EXTENSION.exec(name.slice(1))?.[0] ?? '';
  const stem = name.slice(0, name.length - extension.length);
  return { stem: cutTo(stem, SEGMENT_MAX_BYTES - NUMBER_MAX - Buffer.byteLength(extension)), extension };
}

/** The beginning of a text, of at most so many bytes. */
function cutTo(text: string, most: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  let end = most;
  // A character is not cut in two: what follows its first byte begins with 10.
  while (((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
