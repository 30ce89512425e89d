import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import type { ObjectStat } from './blob-store.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { type FolderTree, isObjectKey, misplaced } from './fs-paths.ts';
import type { ObjectKey } from './key-layout.ts';

/**
 * Walks the objects under a prefix in the order of their keys, holding one directory's names per level. The prefix is
 * only ever compared with keys that were found, so it cannot lead anywhere. A symlink stops the walk; other names that
 * are no keys are passed over.
 */
export async function* listObjects(
  files: FileLayer,
  tree: FolderTree,
  prefix: string,
  stat: (key: ObjectKey) => Promise<ObjectStat | null>,
): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
  async function* walk(dir: string, base: string): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
    for (const entry of await namesIn(files, tree, dir)) {
      const key = `${base}${entry.name}`;
      if (!isObjectKey(key)) continue;
      if (entry.isSymbolicLink()) throw misplaced(join(dir, entry.name), 'a symlink');
      if (entry.isDirectory()) {
        const below = `${key}/`;
        if (below.startsWith(prefix) || prefix.startsWith(below)) yield* walk(join(dir, entry.name), below);
      } else if (entry.isFile() && key.startsWith(prefix)) {
        const found = await stat(key);
        if (found) yield { key, ...found };
      }
    }
  }
  yield* walk(tree.root, '');
}

/** Sorted so that a directory stands where its slash puts it: `a-b`, `a.b`, `a/…`, `a0`. */
async function namesIn(files: FileLayer, tree: FolderTree, dir: string): Promise<Dirent[]> {
  if (!(await tree.isDirectory(dir))) return [];
  const entries = await files.readdir(dir).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  });
  const place = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
  return entries.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}
