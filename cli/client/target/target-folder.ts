import { type BigIntStats, closeSync, constants, fchmodSync, fstatSync, openSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathProblem } from '../../../src/core/logical-path.ts';
import { makeFolder } from '../../../src/make-folder.ts';
import { inodeOf, OpenFolder } from './open-folder.ts';
import { OpenTree } from './open-tree.ts';
import { PartialFile } from './partial-file.ts';
import type { PlacementFolders } from './placement.ts';
import { PrivateFolder, privatePrefix } from './private-folder.ts';
import { refusal } from './refusals.ts';

/** A symlink is not followed, and a fifo does not block. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A directory that files are pulled into: what is there, and the private folder in it. */
export class TargetFolder {
  readonly root: OpenFolder;
  readonly folders: PlacementFolders;
  /** A pull of this package into this directory was cut off before. */
  readonly continued: boolean;
  readonly #private: PrivateFolder;
  /** Empty files that a pull left that was cut off. */
  readonly #unfinished = new Set<string>();

  private constructor(root: OpenFolder, packageId: string) {
    this.root = root;
    this.#private = PrivateFolder.open(root, packageId);
    this.continued = this.#private.continued;
    const prefix = privatePrefix(packageId);
    this.folders = { tree: new OpenTree(root), private: this.#private.folder, prefix };
  }

  /** Creates the directory if it does not exist. @param packageId whose unfinished pull is continued */
  static open(directory: string, packageId: string): TargetFolder {
    makeFolder(resolve(directory));
    const root = OpenFolder.open(directory);
    try {
      return new TargetFolder(root, packageId);
    } catch (error) {
      root.close();
      throw error;
    }
  }

  /** @param keep what is half written, for the next pull, and what tells it that one was cut off */
  close({ keep }: { keep: boolean }): void {
    try {
      this.#private.close({ keep });
    } finally {
      this.folders.tree.close();
      this.root.close();
    }
  }

  /**
   * The file under this path, if one is there. Until a pull ends its files are not synced, so a power cut may leave empty
   * ones: those of a pull that was cut off count as missing. @throws CliError when it must not be written there
   */
  look(path: string, size: number): BigIntStats | null {
    const problem = pathProblem(path);
    if (problem !== null) throw refusal('invalid_path', path, `${problem}: it is not written`);
    if (path.startsWith(this.folders.prefix)) {
      throw refusal('file_refused', path, 'is a name that this pull needs itself');
    }
    const stats = this.folders.tree.find(path)?.look(basename(path)) ?? null;
    if (stats === null) return null;
    if (stats.isSymbolicLink()) throw refusal('file_refused', path, 'is a symlink there: it is not written through');
    if (!stats.isFile()) throw refusal('file_differs', path, 'is not a regular file there: it is not replaced');
    if (Number(stats.size) === 0 && size > 0 && this.continued) {
      this.#unfinished.add(path);
      return null;
    }
    return stats;
  }

  /** Whether an empty file was seen there that a pull left that was cut off. */
  isUnfinished(path: string): boolean {
    return this.#unfinished.has(path);
  }

  /** A file that is there, to be read. @throws Error ENOENT, ELOOP when it is there no more */
  openThere(path: string): number {
    const folder = this.folders.tree.find(path);
    if (folder === null) throw Object.assign(new Error(`${path} is gone.`), { code: 'ENOENT' });
    return openSync(folder.at(basename(path)), READ);
  }

  /**
   * Sets the executable bits that the umask allows, of a file that its owner may not execute.
   * @param there the file that was seen there
   * @returns whether that changed anything; not when another file is there by now, or one of somebody else's
   */
  makeExecutable(path: string, there: BigIntStats): boolean {
    const mode = Number(there.mode) & 0o7777;
    const wanted = mode & 0o100 ? mode : mode | (0o111 & ~process.umask());
    if (wanted === mode || Number(there.uid) !== process.geteuid?.()) return false;
    const fd = this.openThere(path);
    try {
      if (inodeOf(fstatSync(fd, { bigint: true })) !== inodeOf(there)) return false;
      fchmodSync(fd, wanted);
      return true;
    } finally {
      closeSync(fd);
    }
  }

  /** @param hex the digest's */
  openPartial(hex: string, size: number): PartialFile {
    return PartialFile.open(this.#private.folder, hex, size);
  }

  hasPartial(): boolean {
    return this.#private.partials().length > 0;
  }

  /** What pulls that were cut off left of large files takes so much space, bytes. */
  partialBytes(): number {
    const blocks = this.#private.partials().map((name) => this.#private.folder.look(name)?.blocks ?? 0n);
    return blocks.reduce((sum, count) => sum + Number(count) * 512, 0);
  }
}
