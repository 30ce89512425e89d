import { mkdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { codeOf } from './errno.ts';
import { type FolderHandle, type Inode, inodeOf, OpenFolder } from './open-folder.ts';
import { moved, notAFolder } from './refusals.ts';

/** Handles that are kept open. A tree may have more folders than a process may have open files. */
const OPEN_MAX = 128;

/** A folder that files were looked for or written in: its path below the root, and which one it was. */
export type UsedFolder = readonly [folder: string, id: Inode];

/**
 * The folders below one that is open. Each is opened through the handle of the one above it, never through a symlink.
 * Calls are synchronous. A folder that it returns is open until the next call.
 */
export class OpenTree {
  readonly root: OpenFolder;
  /** By path below the root, the one that was used last at the end. */
  readonly #open = new Map<string, OpenFolder>();
  /** Those above a folder come before it. */
  readonly #used = new Map<string, Inode>();
  /** Folders seen not to be there: nothing below them was. */
  readonly #absent = new Set<string>();
  #latest: { name: string; folder: OpenFolder };
  #untold: UsedFolder[] = [];

  constructor(root: OpenFolder) {
    this.root = root;
    this.#latest = { name: '.', folder: root };
  }

  /** Of a tree in another thread: the root's handle is that thread's to close. */
  static of(root: FolderHandle): OpenTree {
    return new OpenTree(OpenFolder.of(root));
  }

  /** The folder that a file is in, or null. @param path the file's @throws CliError file_refused */
  find(path: string): OpenFolder | null {
    return this.#folder(dirname(path), path, false);
  }

  /** The same, and makes it. */
  make(path: string): OpenFolder {
    return this.#folder(dirname(path), path, true) as OpenFolder;
  }

  /** Folders used since this was asked last: for a tree in another thread. */
  takeUsed(): UsedFolder[] {
    return this.#untold.splice(0);
  }

  /** What a tree in another thread used. @throws CliError file_refused when it was another folder */
  addUsed(folders: readonly UsedFolder[]): void {
    for (const [folder, id] of folders) this.#use(folder, id);
  }

  /** Every folder that was used still has its path: what was written has it, too. @throws CliError file_refused */
  assertInPlace(): void {
    for (const [folder, id] of this.#used) {
      const stats = this.#folder(dirname(folder), folder, false)?.look(basename(folder));
      if (!stats || inodeOf(stats) !== id) throw moved(folder);
    }
  }

  /** The root, and every folder that was used; each is open until the next is asked for. */
  *usedFolders(): Generator<OpenFolder> {
    yield this.root;
    for (const name of this.#used.keys()) {
      const folder = this.#folder(name, name, false);
      if (folder) yield folder;
    }
  }

  /** All but the root. */
  close(): void {
    this.#latest = { name: '.', folder: this.root };
    for (const folder of this.#open.values()) folder.close();
    this.#open.clear();
  }

  /** @param path what it is for: what an error names */
  #folder(name: string, path: string, make: boolean): OpenFolder | null {
    if (name === this.#latest.name) return this.#latest.folder;
    if (name === '.') return this.root;
    const folder = this.#takeOpen(name) ?? this.#enter(name, path, make);
    if (folder === null) return null;
    this.#open.set(name, folder);
    this.#latest = { name, folder };
    return folder;
  }

  #takeOpen(name: string): OpenFolder | undefined {
    const folder = this.#open.get(name);
    if (folder) this.#open.delete(name);
    return folder;
  }

  #enter(name: string, path: string, make: boolean): OpenFolder | null {
    if (!make && this.#absent.has(name)) return null;
    const above = this.#folder(dirname(name), path, make);
    const last = basename(name);
    if (above !== null && make && !this.#used.has(name)) makeUnlessThere(above, last);
    const folder = above && enter(above, last, { name, path });
    if (folder === null) {
      if (make || this.#used.has(name)) throw moved(name);
      this.#absent.add(name);
      return null;
    }
    this.#makeRoom();
    try {
      this.#use(name, folder.id);
    } catch (error) {
      folder.close();
      throw error;
    }
    return folder;
  }

  #use(name: string, id: Inode): void {
    const known = this.#used.get(name);
    if (known === id) return;
    if (known !== undefined) throw moved(name);
    this.#used.set(name, id);
    this.#absent.delete(name);
    this.#untold.push([name, id]);
  }

  #makeRoom(): void {
    for (const [name, folder] of this.#open) {
      if (this.#open.size < OPEN_MAX) return;
      this.#open.delete(name);
      folder.close();
    }
  }
}

function makeUnlessThere(above: OpenFolder, name: string): void {
  try {
    mkdirSync(above.at(name));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function enter(above: OpenFolder, last: string, { name, path }: { name: string; path: string }): OpenFolder | null {
  try {
    return above.enter(last);
  } catch (error) {
    if (!['ENOTDIR', 'ELOOP'].includes(codeOf(error))) throw error;
    throw notAFolder(path, name, above.look(last));
  }
}
