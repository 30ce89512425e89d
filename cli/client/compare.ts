import { comparePaths } from '../../src/core/logical-path.ts';

/** What a comparison needs of a file, on either side. */
export interface ComparedFile {
  path: string;
  digest: string;
  size: number;
}

export interface Differences {
  added: string[];
  removed: string[];
  changed: string[];
}

/** By path and bytes: `added` is in the directory only, `removed` in the package only. Times and modes do not count. */
export function compareFiles(inPackage: Iterable<ComparedFile>, inDirectory: Iterable<ComparedFile>): Differences {
  const theirs = new Map([...inPackage].map((file) => [file.path, file.digest]));
  const differences: Differences = { added: [], removed: [], changed: [] };
  for (const { path, digest } of inDirectory) {
    const known = theirs.get(path);
    theirs.delete(path);
    if (known === undefined) differences.added.push(path);
    else if (known !== digest) differences.changed.push(path);
  }
  differences.removed.push(...theirs.keys());
  for (const list of Object.values(differences) as string[][]) list.sort(comparePaths);
  return differences;
}

export function countDifferences({ added, removed, changed }: Differences): number {
  return added.length + removed.length + changed.length;
}

/** The first few of each kind, and how many there are: enough for a person, bounded for a log. */
export function summarizeDifferences(differences: Differences, shown = 20): Record<string, unknown> {
  const { added, removed, changed } = differences;
  return {
    counts: { added: added.length, removed: removed.length, changed: changed.length },
    added: added.slice(0, shown),
    removed: removed.slice(0, shown),
    changed: changed.slice(0, shown),
  };
}

/** `+ path`, `- path`, `~ path`, at most `shown` lines and a line for the rest. */
export function differenceLines(differences: Differences, shown = 20): string[] {
  const { added, removed, changed } = differences;
  const lines = [
    ...changed.map((path) => `~ ${path}`),
    ...added.map((path) => `+ ${path}`),
    ...removed.map((path) => `- ${path}`),
  ];
  return lines.length <= shown ? lines : [...lines.slice(0, shown), `… and ${lines.length - shown} more`];
}
