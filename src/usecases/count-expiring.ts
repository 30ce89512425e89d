import { setImmediate as nextTurn } from 'node:timers/promises';
import { daysByRule } from '../core/file-rules.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { daysAfter } from '../core/retention.ts';
import type { ExpiringFiles } from '../registry/expiring-files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { filePages } from './look-over-files.ts';

/** Files that are matched before others get their turn: of fifty rules, a few ms. */
const TURN = 50;

/** How many files of a sealed package are due when by its rules. Without any it is not read. */
export async function countExpiring(tables: ReadTables, pkg: PackageRecord): Promise<ExpiringFiles[]> {
  if (pkg.file_rules.length === 0) return [];
  const daysOf = daysByRule(pkg.file_rules);
  const groups = new Map<number, ExpiringFiles>();
  let matched = 0;
  for await (const page of filePages(tables, pkg.id)) {
    for (const { path, size } of page) {
      addTo(groups, pkg.sealed_at as number, daysOf(path), size);
      matched += 1;
      if (matched % TURN === 0) await nextTurn();
    }
  }
  return [...groups.values()];
}

/** Adds a file to those that are due with it. @param days of its rule; null: none is for it */
function addTo(groups: Map<number, ExpiringFiles>, finalizedAt: number, days: number | null, size: number): void {
  if (days === null) return;
  const due_at = daysAfter(finalizedAt, days) as number;
  const group = groups.get(due_at) ?? { due_at, files: 0, bytes: 0 };
  groups.set(due_at, { due_at, files: group.files + 1, bytes: group.bytes + size });
}

/** These files of a finalized package by when they are due; those that no rule is for are left out. */
export function expiringGroups(
  pkg: PackageRecord,
  files: ReadonlyArray<{ path: LogicalPath; size: number }>,
): Iterable<ExpiringFiles> {
  const daysOf = daysByRule(pkg.file_rules);
  const groups = new Map<number, ExpiringFiles>();
  for (const { path, size } of files) addTo(groups, pkg.finalized_at as number, daysOf(path), size);
  return groups.values();
}
