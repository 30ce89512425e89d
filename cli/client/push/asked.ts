import type { Package } from '../../../src/api/types.ts';
import { canonicalJson, type Json, type JsonObject } from '../../../src/core/canonical-json.ts';
import { daysAfter, type FileRule } from '../../../src/core/retention.ts';
import { SECRETS_MEMBER } from '../../../src/core/secret-record.ts';
import { CliError, EXIT, usageError } from '../../errors.ts';
import { printable } from '../../format.ts';
import { LEFT_OUT_MEMBER, type LeftOut } from '../tree/left-out.ts';

/** The properties that a person asked for; an absent one was not asked for. */
export interface Asked {
  name?: string | undefined;
  producer?: string | undefined;
  subject?: string | undefined;
  external_id?: string | undefined;
  retention_class?: string | undefined;
  metadata?: JsonObject | undefined;
  file_rules?: readonly FileRule[] | undefined;
  /** What this push leaves out of the directory; null: nothing. */
  left_out?: LeftOut | null | undefined;
}

export interface AskedDifference {
  field: keyof Asked;
  asked: Json;
  is: Json;
}

/** Class → days, null for never; as the service has them now. */
export type ClassDays = ReadonlyMap<string, number | null>;

const TEXTS = ['name', 'producer', 'subject', 'external_id'] as const;

/** Where a package is not what was asked for. */
export function askedDifferences(asked: Asked, pkg: Package, classes: ClassDays): AskedDifference[] {
  const differences: AskedDifference[] = [];
  for (const field of TEXTS) {
    const wanted = asked[field];
    if (wanted !== undefined && wanted !== pkg[field]) differences.push({ field, asked: wanted, is: pkg[field] });
  }
  const { retention_class, metadata, file_rules = [], left_out } = asked;
  if (retention_class !== undefined && !isKeptSo(pkg, retention_class, classes)) {
    differences.push({ field: 'retention_class', asked: retention_class, is: pkg.retention.class });
  }
  const { [LEFT_OUT_MEMBER]: leftOutThen = null, [SECRETS_MEMBER]: _, ...own } = pkg.metadata as JsonObject;
  if (metadata !== undefined && canonicalJson(metadata) !== canonicalJson(own)) {
    differences.push({ field: 'metadata', asked: metadata, is: own });
  }
  const rules = pkg.file_rules ?? [];
  const has = ({ path, days }: FileRule) => rules.some((rule) => rule.path === path && rule.days === days);
  if (!file_rules.every(has)) {
    differences.push({ field: 'file_rules', asked: sayRules(file_rules), is: sayRules(rules) });
  }
  // An open package would be finalized with the record of another push. A finalized one says what was left out then.
  const leftOutNow = left_out as unknown as Json | undefined;
  if (
    pkg.status !== 'finalized' &&
    leftOutNow !== undefined &&
    canonicalJson(leftOutNow) !== canonicalJson(leftOutThen)
  ) {
    differences.push({ field: 'left_out', asked: leftOutNow, is: leftOutThen });
  }
  return differences;
}

function sayRules(rules: readonly FileRule[]): string {
  return rules.map(({ path, days }) => `${path}=${days}`).join(' ') || 'none';
}

/** Of that class; or finalized, and extended to the time that a longer class would have given it. */
function isKeptSo(pkg: Package, wanted: string, classes: ClassDays): boolean {
  if (pkg.retention.class === wanted) return true;
  const until = classEnd(pkg, wanted, classes);
  const own = classEnd(pkg, pkg.retention.class, classes);
  if (typeof until !== 'number' || own === null || (own !== undefined && own >= until)) return false;
  const { expires_at } = pkg.retention;
  return expires_at === null || Date.parse(expires_at) >= until;
}

/** When a finalized package would expire by a class, ms; null: never. Undefined: not finalized, or no such class any more. */
function classEnd({ finalized_at }: Package, name: string, classes: ClassDays): number | null | undefined {
  const days = classes.get(name);
  if (finalized_at === null || days === undefined) return undefined;
  return daysAfter(Date.parse(finalized_at), days);
}

/** @throws CliError wrong_usage for a class that the service does not have */
export function assertClass(name: string, classes: ClassDays): void {
  if (classes.has(name)) return;
  throw usageError(
    `There is no retention class ${JSON.stringify(name)}.`,
    `Use one of ${[...classes.keys()].join(', ')}.`,
  );
}

const LABELS: Record<keyof Asked, string> = {
  name: 'name',
  producer: 'producer',
  subject: 'subject',
  external_id: 'external id',
  retention_class: 'retention class',
  metadata: 'metadata',
  file_rules: 'file rules',
  left_out: 'left out',
};
const SHOWN = 200;

/** A line for each, for people. */
export function askedLines(differences: readonly AskedDifference[]): string[] {
  const show = (value: Json): string => {
    if (value === null) return 'none';
    const text = printable(typeof value === 'string' ? value : canonicalJson(value));
    return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  };
  return differences.map(({ field, asked, is }) => `${LABELS[field]}: asked for ${show(asked)}, is ${show(is)}`);
}

/** An open package cannot become another one: nothing is sent into it. */
export function refuseOpen(pkg: Package, differences: readonly AskedDifference[]): CliError {
  const kept = `--retention-class ${pkg.retention.class}`;
  const only = differences.every(({ field }) => field === 'retention_class');
  const otherwise = only ? `push with ${kept}` : 'push it with its original options';
  return new CliError(
    [`${pkg.id} is unfinished, and was started with other options:`, ...askedLines(differences)].join('\n'),
    {
      exit: EXIT.refused,
      code: 'package_differs',
      next: isAnother(differences)
        ? ANOTHER
        : `Delete it with \`artifact-store rm ${pkg.id} --reason TEXT\` and push again; or ${otherwise}.`,
      extras: { package_id: pkg.id, asked: differences },
    },
  );
}

/** What to do about a finalized package that is not what was asked for. */
export function finalizedRemedy(pkg: Package, differences: readonly AskedDifference[], classes: ClassDays): string {
  if (isAnother(differences)) return ANOTHER;
  const wanted = differences.find(({ field }) => field === 'retention_class');
  const until = wanted && classEnd(pkg, String(wanted.asked), classes);
  const { expires_at } = pkg.retention;
  if (typeof until !== 'number' || expires_at === null || until <= Date.parse(expires_at)) return REVISION;
  const end = new Date(until).toISOString();
  return `Keep it as long with \`artifact-store extend ${pkg.id} --until ${end} --reason TEXT\`, or make a new package of that class with --revision.`;
}

export const REVISION = 'Push it as a new package that supersedes that one with --revision.';
const ANOTHER = 'It is another package: push without --resume, or with its own producer and external id.';

function isAnother(differences: readonly AskedDifference[]): boolean {
  return differences.some(({ field }) => field === 'producer' || field === 'external_id');
}
