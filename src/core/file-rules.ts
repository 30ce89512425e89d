import { StoreError } from './errors.ts';
import { compileGlob, globProblem } from './glob.ts';
import { daysAfter, type FileRule, laterExpiry } from './retention.ts';

/*
 * Some files of a package may be kept less long than the package. They too go only when somebody removes them. All times are
 * milliseconds since 1970 in UTC.
 */

export const FILE_RULES_MAX = 50;
export const FILE_RULE_DAYS_MAX = 36_500;

/** Why these are no rules, to be read after the name of what holds them; null: they are. */
export function fileRulesProblem(rules: readonly FileRule[]): string | null {
  if (rules.length > FILE_RULES_MAX) return `has more than ${FILE_RULES_MAX} file rules`;
  for (const { path, days } of rules) {
    const problem = globProblem(path);
    if (problem !== null) return `has the file rule ${JSON.stringify(path.slice(0, 100))}, which ${problem}`;
    if (!Number.isInteger(days) || days < 0 || days > FILE_RULE_DAYS_MAX)
      return `has the file rule ${JSON.stringify(path)} with ${days} days: write 0 to ${FILE_RULE_DAYS_MAX}`;
  }
  return null;
}

/** Those of the class, and those that the request gave. @throws StoreError invalid_file_rule */
export function joinFileRules(ofClass: readonly FileRule[], asked: readonly FileRule[]): FileRule[] {
  const known = new Map([...ofClass, ...asked].map(({ path, days }) => [`${days} ${path}`, { path, days }]));
  const rules = [...known.values()];
  const problem = fileRulesProblem(asked) ?? fileRulesProblem(rules);
  if (problem !== null) throw new StoreError('invalid_file_rule', `The package ${problem}.`);
  return rules;
}

/** The days of the rule that is for a path: of several, the most; null: none is. */
export function daysByRule(rules: readonly FileRule[]): (path: string) => number | null {
  const longestFirst = rules
    .toSorted((a, b) => b.days - a.days)
    .map(({ path, days }) => ({ days, matches: compileGlob(path) }));
  return (path) => longestFirst.find(({ matches }) => matches(path))?.days ?? null;
}

export interface KeptPackage {
  finalized_at: number;
  /** Null: never. */
  expires_at: number | null;
  /** To when somebody has extended it; null: nobody has. */
  extended_until: number | null;
}

/**
 * When the time of a file is over that a rule is for. What a person decided wins: an extension keeps all files until its own end. No
 * file is kept longer than its package. That holds keep everything is not asked here. @param days of its rule
 */
export function fileExpiry(pkg: KeptPackage, days: number): number {
  const byRule = daysAfter(pkg.finalized_at, days) as number;
  const kept = pkg.extended_until === null ? byRule : (laterExpiry(byRule, pkg.extended_until) as number);
  return pkg.expires_at === null ? kept : Math.min(kept, pkg.expires_at);
}

const NAMED_MAX = 100;

/**
 * May these files of a finalized package be removed now, all of them?
 * @throws StoreError held; retention_active, which names those that may not, and says when the last of them may (`expires_at`; null:
 *   not before the package goes)
 */
export function assertFilesRemovable(
  pkg: KeptPackage & { id: string; file_rules: readonly FileRule[] },
  holds: ReadonlyArray<{ id: string; reason: string }>,
  paths: readonly string[],
  now: number,
): void {
  const [hold] = holds;
  if (hold !== undefined) {
    throw new StoreError('held', `Hold ${hold.id} keeps every file of ${pkg.id} (${hold.reason}): release it first.`, {
      holds: holds.map(({ id, reason }) => ({ id, reason })),
    });
  }
  const daysOf = daysByRule(pkg.file_rules);
  const kept = paths
    .map((path) => ({ path, days: daysOf(path) }))
    .map(({ path, days }) => ({ path, expiry: days === null ? null : fileExpiry(pkg, days) }))
    .filter(({ expiry }) => expiry === null || expiry > now);
  const [first] = kept;
  if (first === undefined) return;
  const why =
    first.expiry === null
      ? 'no file rule of the package names it, so it goes with the package'
      : `it must be kept until ${new Date(first.expiry).toISOString()}`;
  const others = kept.length === 1 ? '' : ` Nor can ${kept.length - 1} more.`;
  const last = kept.reduce<number | null>((latest, { expiry }) => laterExpiry(latest, expiry), 0);
  throw new StoreError('retention_active', `${JSON.stringify(first.path)} cannot be removed: ${why}.${others}`, {
    path: first.path,
    paths: kept.slice(0, NAMED_MAX).map(({ path }) => path),
    expires_at: last === null ? null : new Date(last).toISOString(),
  });
}
