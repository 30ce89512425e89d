import { comparePaths } from '../../../src/core/logical-path.ts';
import type { FileList } from '../tree/file-list.ts';
import type { AttestedFiles } from './attested-files.ts';

/** `added`: in the directory only; `removed`: in the list only; `changed`: in both, with other bytes. */
export type Difference = 'added' | 'removed' | 'changed';

/** So many paths of each kind are kept; all are counted. */
export const KEPT = 1_000;

/** How a directory differs from a list of files, in the order of paths. */
export class ListDifferences {
  /** Files that the list has. */
  listed = 0;
  readonly counts: Record<Difference, number> = { added: 0, removed: 0, changed: 0 };
  readonly paths: Record<Difference, string[]> = { added: [], removed: [], changed: [] };
  /** The first of all. */
  first: { path: string; how: Difference } | null = null;

  get count(): number {
    return this.counts.added + this.counts.removed + this.counts.changed;
  }

  add(how: Difference, path: string): void {
    this.first ??= { path, how };
    this.counts[how] += 1;
    if (this.counts[how] <= KEPT) this.paths[how].push(path);
  }
}

/** @param files that all have a digest; both sides are in the order of the paths' UTF-8 bytes */
export async function compareWithList(files: FileList, list: AttestedFiles): Promise<ListDifferences> {
  const found = new ListDifferences();
  let index = 0;
  for await (const page of list) {
    found.listed += page.length;
    for (const { path, sha256 } of page) {
      for (; index < files.length && isBefore(files.path(index), path); index += 1) {
        found.add('added', files.path(index));
      }
      if (index === files.length || files.path(index) !== path) found.add('removed', path);
      else {
        if (files.hexDigest(index) !== sha256) found.add('changed', path);
        index += 1;
      }
    }
  }
  for (; index < files.length; index += 1) found.add('added', files.path(index));
  return found;
}

/** Mostly they are the same, which is seen without a look at their bytes. */
function isBefore(a: string, b: string): boolean {
  return a !== b && comparePaths(a, b) < 0;
}
