import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { pathProblem } from '../../src/core/logical-path.ts';
import { makeFolder } from '../../src/make-folder.ts';
import { PartialFile } from './partial-file.ts';
import { assertFolder, type PlacementFolders, refusal } from './placement.ts';
import { PrivateFolder, privatePrefix } from './private-folder.ts';

/** A directory that files are pulled into: what is there, and the private folder in it. */
export class TargetFolder {
  readonly folders: PlacementFolders;
  readonly #private: PrivateFolder;
  /** Folders seen to be real ones, relative to the root. */
  readonly #real = new Set<string>();
  /** Folders seen not to be there: nothing below them was. */
  readonly #absent = new Set<string>();
  /** Empty files that a pull left that was cut off. */
  readonly #unfinished = new Set<string>();

  private constructor(root: string, packageId: string) {
    this.#private = PrivateFolder.open(root, packageId);
    this.folders = { root, private: this.#private.path, prefix: privatePrefix(packageId) };
  }

  /** Makes the directory when it is not there. @param packageId whose unfinished pull is gone on with */
  static open(path: string, packageId: string): TargetFolder {
    makeFolder(path);
    return new TargetFolder(realpathSync.native(path), packageId);
  }

  /** Removes what is half written. @param keep but large files that the next pull can go on with */
  close({ keep }: { keep: boolean }): void {
    this.#private.close({ keep });
  }

  /**
   * The file under this path, if one is there. Files are not synced one by one, so a power cut may leave empty ones: those
   * of a pull that was cut off count as missing. @throws CliError when writing there would leave the directory
   */
  look(path: string, size: number): { absolute: string; size: number } | null {
    const problem = pathProblem(path);
    if (problem !== null) throw refusal('invalid_path', path, `${problem}: it is not written`);
    if (path.startsWith(this.folders.prefix)) {
      throw refusal('file_refused', path, 'is a name that this pull needs itself');
    }
    const stats = this.#inspect(path);
    if (stats === null) return null;
    if (stats.isSymbolicLink()) throw refusal('file_refused', path, 'is a symlink there: it is not written through');
    if (!stats.isFile()) throw refusal('file_differs', path, 'is no regular file there: it is not replaced');
    if (stats.size === 0 && size > 0 && this.#private.continued) {
      this.#unfinished.add(path);
      return null;
    }
    return { absolute: join(this.folders.root, path), size: stats.size };
  }

  /** Whether an empty file was seen there that a pull left that was cut off. */
  isUnfinished(path: string): boolean {
    return this.#unfinished.has(path);
  }

  /** @param name the digest's hex */
  openPartial(name: string, size: number): PartialFile {
    return PartialFile.open(this.#private.path, name, size);
  }

  #inspect(path: string): Stats | null {
    const segments = path.split('/');
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const part = segments.slice(0, depth).join('/');
      const isLast = depth === segments.length;
      if (!isLast && this.#real.has(part)) continue;
      if (!isLast && this.#absent.has(part)) return null;
      const stats = lstatSync(join(this.folders.root, part), { throwIfNoEntry: false }) ?? null;
      if (stats === null && !isLast) this.#absent.add(part);
      if (stats === null || isLast) return stats;
      assertFolder(path, part, stats);
      this.#real.add(part);
    }
    return null;
  }
}
