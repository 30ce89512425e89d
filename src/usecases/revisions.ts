import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { FileRule } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';

/**
 * A revision supersedes a finalized package, and takes its external id over in the moment in which it is finalized itself:
 * until then the external id names the old one. When a revision is deleted, the nearest package before it that still lives
 * is the current one again.
 *
 * Whoever locks several packages of a chain locks newer ones before older ones, as `supersedes` leads: nobody deadlocks.
 */

/** What a request says of the package that it wants: by this two requests for a revision are the same. */
export interface PackageInput {
  name: string;
  producer: string;
  subject?: string | undefined;
  external_id?: string | undefined;
  retention_class?: string | undefined;
  file_rules?: readonly FileRule[] | undefined;
  metadata?: JsonObject | undefined;
}

/** @throws StoreError already_superseded, invalid_supersedes */
export function assertSupersedable(old: PackageRecord, input: PackageInput): void {
  if (old.superseded_by !== null) {
    throw new StoreError('already_superseded', `${old.id} is superseded by ${old.superseded_by}: supersede that one.`, {
      package_id: old.superseded_by,
    });
  }
  if (old.status === 'failed' || old.status === 'deleted') {
    throw new StoreError('invalid_supersedes', `${old.id} is ${old.status}: create a package without supersedes.`);
  }
  if (old.status !== 'finalized') {
    throw new StoreError(
      'invalid_supersedes',
      `${old.id} is ${old.status}, and only finalized packages can be revised: continue it, or delete it.`,
    );
  }
  if (input.external_id !== undefined && old.external_id !== null && old.external_id !== input.external_id) {
    throw new StoreError(
      'invalid_supersedes',
      `${old.id} has the external id ${old.external_id}: a revision has the same, or omits it.`,
    );
  }
  if (old.producer !== input.producer) {
    throw new StoreError('invalid_supersedes', `${old.id} is a package of ${old.producer}, not of ${input.producer}.`);
  }
}

/**
 * Which open revision a repeated request returns. The external id identifies it; without one, all fields must be the
 * same.
 */
export function isSameRevision(revision: PackageRecord, input: PackageInput): boolean {
  const externalId = input.external_id ?? revision.external_id;
  if (revision.producer !== input.producer || revision.external_id !== externalId) return false;
  if (externalId !== null) return true;
  return (
    revision.name === input.name &&
    revision.subject === (input.subject ?? null) &&
    (input.retention_class === undefined || revision.retention_class === input.retention_class) &&
    canonicalJson(revision.metadata) === canonicalJson(input.metadata ?? {})
  );
}

/**
 * Checked before a package is sealed. The package that its external id refers to by now must be the one that it
 * revises, or an earlier one; otherwise there would be two. @throws StoreError already_superseded
 */
export async function assertTakesOver(tables: Tables, pkg: PackageRecord): Promise<void> {
  if (pkg.external_id === null) return;
  const current = await tables.packages.findCurrent(pkg.producer, pkg.external_id);
  if (current === null) return;
  for (let before = pkg.supersedes; before !== null; ) {
    if (before === current.id) return;
    before = (await tables.packages.get(before))?.supersedes ?? null;
  }
  throw new StoreError(
    'already_superseded',
    `The external id ${pkg.external_id} names ${current.id}, which ${pkg.id} does not revise: make a revision of that one.`,
    { package_id: current.id },
  );
}

/** What of a package decides who supersedes whom. */
export type ChainLink = Pick<PackageRecord, 'id' | 'supersedes' | 'superseded_by' | 'status' | 'finalized_at'>;

/** Where chains of revisions are kept. */
export interface Chains {
  packages: {
    lock(id: PackageId): Promise<ChainLink | null>;
    update(id: PackageId, change: { superseded_by: PackageId | null }): Promise<void>;
  };
}

/** Before a locked package becomes finalized: the one that it revises is superseded. */
export async function takeOver(tables: Chains, pkg: ChainLink): Promise<void> {
  const passed = new Set([pkg.id]);
  let newest = pkg.id;
  for (let before = pkg.supersedes; before !== null; ) {
    const old: ChainLink | null = await tables.packages.lock(before);
    if (old === null || !belongsTo(old, passed)) return;
    if (old.superseded_by === null) await tables.packages.update(old.id, { superseded_by: newest });
    if (old.status === 'finalized') return;
    // Deleted while its revision was made: what lives before it had become the current one again.
    passed.add(old.id);
    if (old.finalized_at !== null) newest = old.id;
    before = old.supersedes;
  }
}

/** After a locked package was deleted that was the current one: the nearest before it that lives is current again. */
export async function giveBack(tables: Chains, pkg: ChainLink): Promise<void> {
  if (pkg.finalized_at === null || pkg.superseded_by !== null) return;
  const passed = new Set([pkg.id]);
  for (let before = pkg.supersedes; before !== null; ) {
    const old: ChainLink | null = await tables.packages.lock(before);
    if (old === null || !belongsTo(old, passed)) return;
    if (old.status === 'finalized') return tables.packages.update(old.id, { superseded_by: null });
    passed.add(old.id);
    before = old.supersedes;
  }
}

/** No other revision has superseded it. */
function belongsTo(old: ChainLink, chain: ReadonlySet<PackageId>): boolean {
  return old.superseded_by === null || chain.has(old.superseded_by);
}
