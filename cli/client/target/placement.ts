import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  copyFile,
  fchmodSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { copyBytes } from './copy-bytes.ts';
import { codeOf } from './errno.ts';
import { withFile } from './folder-failure.ts';
import { inodeOf, type OpenFolder } from './open-folder.ts';
import type { OpenTree } from './open-tree.ts';
import type { PartialFile } from './partial-file.ts';
import { differs, moved } from './refusals.ts';
import { sameBytes } from './same-bytes.ts';

/** Where `link` cannot be used: another mount below the folder, or a file system without hard links. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/** What a file has in addition to its bytes. */
export interface Kept {
  executable: boolean;
  mtime: Date | null;
}

/** Where bytes go. */
export interface Place {
  path: string;
  kept: Kept;
  /** An empty file in its place was left by an interrupted pull: it may be replaced. */
  unfinished: boolean;
}

/** The directory of a pull, and the folder inside it in which files are made. */
export interface PlacementFolders {
  tree: OpenTree;
  private: OpenFolder;
  /** What the names of private folders begin with; so does whatever else is made for a moment. */
  prefix: string;
}

/** A name in a folder that is open. */
interface Target {
  folder: OpenFolder;
  name: string;
}

/**
 * Gives checked files their names. Nothing is written outside the directory, whatever others do to its folders
 * meanwhile. Nothing that exists is ever replaced: a file appears under its name whole and checked, or not at all.
 * Calls are synchronous: ten thousand small files take a third of the time. Several may work in one directory at once,
 * in threads of their own.
 */
export class Placement {
  readonly #tree: OpenTree;
  readonly #private: OpenFolder;
  readonly #prefix: string;
  /** Of the names in the private folder that are this one's alone. */
  readonly #own = randomBytes(12).toString('hex');
  #names = 0;

  constructor({ tree, private: own, prefix }: PlacementFolders) {
    this.#tree = tree;
    this.#private = own;
    this.#prefix = prefix;
  }

  /** Writes checked bytes to a private file, and gives it its name. */
  write(place: Place, bytes: Uint8Array): void {
    withFile(place.path, () => this.#write(place, bytes));
  }

  #write(place: Place, bytes: Uint8Array): void {
    const { executable, mtime } = place.kept;
    const temporary = this.#newName();
    const fd = openSync(this.#private.at(temporary), 'wx', modeOf(executable));
    try {
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
        if (mtime) futimesSync(fd, mtime, mtime);
      } finally {
        closeSync(fd);
      }
      this.#place(temporary, place);
    } finally {
      this.#remove(temporary);
    }
  }

  /** Gives a partial file whose bytes are checked and synced each of its names; the first ones are copies. */
  async placePartial(partial: PartialFile, places: readonly Place[]): Promise<void> {
    for (const place of places.slice(0, -1)) {
      const copy = this.#newName();
      try {
        await this.#copy(partial.name, copy, place.kept);
        this.#place(copy, place);
      } finally {
        this.#remove(copy);
      }
    }
    const last = places.at(-1) as Place;
    keep(partial.fd, last.kept);
    this.#place(partial.name, last);
  }

  async #copy(from: string, to: string, kept: Kept): Promise<void> {
    const flags = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;
    await promisify(copyFile)(this.#private.at(from), this.#private.at(to), flags);
    const fd = openSync(this.#private.at(to), constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      keep(fd, kept);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  #newName(): string {
    this.#names += 1;
    return `${this.#own}-${this.#names}`;
  }

  /** It may have been moved to its place. */
  #remove(temporary: string): void {
    try {
      unlinkSync(this.#private.at(temporary));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** `link` fails when the name is taken, where `rename` would replace what is there. */
  #place(temporary: string, place: Place): void {
    const target = { folder: this.#tree.make(place.path), name: basename(place.path) };
    try {
      this.#link(temporary, target);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw moved(dirname(place.path));
      if (codeOf(error) !== 'EEXIST') throw error;
      this.#placeBesideOther(temporary, place, target);
    }
  }

  /** Something took the name since the check, or an interrupted pull left it. */
  #placeBesideOther(temporary: string, place: Place, target: Target): void {
    const there = target.folder.look(target.name);
    if (place.unfinished && isEmptyFile(there)) this.#takeAway(target);
    else if (there?.isFile() && sameBytes(this.#private.at(temporary), pathOf(target))) return;
    try {
      this.#link(temporary, target);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      throw differs(place.path, Number(target.folder.look(target.name)?.size ?? 0), place.unfinished);
    }
  }

  /** Removes an empty file. If it got content since the check, it is put back. */
  #takeAway(target: Target): void {
    const aside = this.#newName();
    renameSync(pathOf(target), this.#private.at(aside));
    if (!isEmptyFile(this.#private.look(aside))) this.#link(aside, target);
    this.#remove(aside);
  }

  /** @throws Error EEXIST when the name is taken */
  #link(temporary: string, target: Target): void {
    try {
      linkSync(this.#private.at(temporary), pathOf(target));
    } catch (error) {
      if (!NO_LINK.has(codeOf(error))) throw error;
      this.#moveWithoutLink(temporary, target);
    }
  }

  /** Without links this is as near as it gets to not replacing what is there: a look, then `rename`. */
  #moveWithoutLink(temporary: string, target: Target): void {
    assertFree(target);
    try {
      renameSync(this.#private.at(temporary), pathOf(target));
    } catch (error) {
      if (codeOf(error) !== 'EXDEV') throw error;
      this.#copyAcross(temporary, target);
    }
  }

  /** A copy beside its place, whole and synced before it gets its name. */
  #copyAcross(temporary: string, target: Target): void {
    const copy = { folder: target.folder, name: `${this.#prefix}${temporary}` };
    const from = openSync(this.#private.at(temporary), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const to = openSync(pathOf(copy), 'wx');
      try {
        copyBytes(from, to);
        assertFree(target);
        renameSync(pathOf(copy), pathOf(target));
        const there = target.folder.look(target.name);
        if (!there || inodeOf(there) !== inodeOf(fstatSync(to, { bigint: true }))) throw moved(target.name);
      } finally {
        closeSync(to);
        rmSync(pathOf(copy), { force: true });
      }
    } finally {
      closeSync(from);
    }
    target.folder.sync();
  }
}

function pathOf({ folder, name }: Target): string {
  return folder.at(name);
}

function assertFree({ folder, name }: Target): void {
  if (folder.look(name) !== null) throw Object.assign(new Error(`${name} already exists.`), { code: 'EEXIST' });
}

function isEmptyFile(stats: BigIntStats | null): boolean {
  return stats?.isFile() === true && Number(stats.size) === 0;
}

/** Before the umask. */
function modeOf(executable: boolean): number {
  return executable ? 0o777 : 0o666;
}

function keep(fd: number, { executable, mtime }: Kept): void {
  fchmodSync(fd, modeOf(executable) & ~process.umask());
  if (mtime) futimesSync(fd, mtime, mtime);
}
