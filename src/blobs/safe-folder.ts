import { dirname, join, sep } from 'node:path';
import { StoreError } from '../core/errors.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';

/**
 * Paths below a root that cannot lead out of it: every directory on the way is checked to be a real one, not a symbolic
 * link. Names come from keys that were parsed, so they hold no `..`.
 */
export interface SafeFolder {
  readonly root: string;
  /** The absolute path of a name below the root, whose directories exist and are real; null when one is missing. */
  find(name: string): Promise<string | null>;
  /** The same, making what is missing, durably. */
  make(name: string): Promise<string>;
}

export function safeFolder(files: FileLayer, root: string): SafeFolder {
  // Directories that this process made or checked; they are checked again for every use, but made only once.
  async function isDirectory(path: string): Promise<boolean> {
    try {
      const stat = await files.lstat(path);
      if (stat.isDirectory()) return true;
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return false;
      throw error;
    }
    throw new StoreError(
      'unavailable',
      `${path} must be a directory, not a link or a file: somebody changed the data folder.`,
    );
  }

  function* directories(name: string): Generator<string> {
    yield root;
    let path = root;
    for (const segment of dirname(name).split(sep)) {
      if (segment === '.') continue;
      path = join(path, segment);
      yield path;
    }
  }

  return {
    root,
    async find(name) {
      for (const directory of directories(name)) {
        if (!(await isDirectory(directory))) return null;
      }
      return join(root, name);
    },
    async make(name) {
      for (const directory of directories(name)) {
        if (await isDirectory(directory)) continue;
        await files.mkdir(directory).catch((error) => {
          if (!hasErrno(error, 'EEXIST')) throw error;
        });
        // Also when somebody else has just made it: its name may not be durable yet.
        await files.syncDirectory(dirname(directory));
        await isDirectory(directory);
      }
      return join(root, name);
    },
  };
}
