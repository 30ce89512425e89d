import { comparePaths, type LogicalPath } from '../../src/core/logical-path.ts';

/** The folders of a path. */
export function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('/')}/`);
}

/** What stands in a folder, by looking at every path; a file has as many bytes as files stand before it in the list. */
export function folderOf(files: readonly LogicalPath[], folder: string): unknown[] {
  const entries = new Map<string, { path: string; folder: boolean; files: number; bytes: number }>();
  for (const path of files.toSorted(comparePaths)) {
    if (!path.startsWith(folder)) continue;
    const rest = path.slice(folder.length);
    const slash = rest.indexOf('/');
    if (slash === -1) entries.set(path, { path, folder: false, files: 0, bytes: 0 });
    else {
      const name = folder + rest.slice(0, slash + 1);
      const { files: count, bytes } = entries.get(name) ?? { files: 0, bytes: 0 };
      entries.set(name, { path: name, folder: true, files: count + 1, bytes: bytes + files.indexOf(path) });
    }
  }
  return [...entries.values()];
}
