import { StoreError } from '../core/errors.ts';
import { joinFileRules } from '../core/file-rules.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { canonicalMetadata } from '../core/metadata.ts';
import { assertOpenPackagesFit } from '../core/quotas.ts';
import { DEFAULT_RETENTION_CLASS, daysAfter } from '../core/retention.ts';
import { LostRaceError } from '../registry/lost-race.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { mayRead } from '../registry/reads.ts';
import type { Tables } from '../registry/registry.ts';
import type { RetentionClassRecord } from '../registry/retention.ts';
import { lockPackage } from './access.ts';
import { recordChange, recordRetention } from './record-change.ts';
import { assertSupersedable, isSameRevision, type PackageInput } from './revisions.ts';
import type { Caller, Services } from './services.ts';

export interface CreatePackageInput extends PackageInput {
  supersedes?: PackageId | undefined;
}

/**
 * Registers a package, or gives back the living one that has the same (producer, external id), so that a retried ingest
 * continues where it stopped.
 * @throws StoreError forbidden, invalid_metadata, unknown_retention_class, invalid_file_rule, invalid_supersedes, already_superseded, too_many_packages
 */
export async function createPackage(
  services: Services,
  caller: Caller,
  input: CreatePackageInput,
): Promise<{ pkg: PackageRecord; created: boolean }> {
  if (!mayRead(caller.reads, input)) {
    const detail = `This token may not create packages of the producer ${JSON.stringify(input.producer)}: it is limited to others.`;
    throw new StoreError('forbidden', detail);
  }
  const metadata = input.metadata ?? {};
  const metadataText = canonicalMetadata(metadata);
  return services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const superseded = input.supersedes === undefined ? null : await lockPackage(tables, caller, input.supersedes);
    // A revision is named as what it revises.
    const externalId = input.external_id ?? superseded?.external_id ?? null;
    const existing =
      superseded === null
        ? await findNamed(tables, input.producer, externalId)
        : await findRevision(tables, superseded, input, externalId);
    if (existing) return { pkg: existing, created: false };
    const className = input.retention_class ?? superseded?.retention_class ?? DEFAULT_RETENTION_CLASS;
    const retentionClass = await findClass(tables, className);
    const id = newId('pkg', now) as PackageId;
    const expiresAt = daysAfter(now, retentionClass.days);
    await tables.packages.insert({
      id,
      name: input.name,
      producer: input.producer,
      subject: input.subject ?? null,
      external_id: externalId,
      metadata,
      metadata_text: metadataText,
      retention_class: className,
      retention_days: retentionClass.days,
      file_rules: joinFileRules(retentionClass.file_rules, input.file_rules ?? []),
      expires_at: expiresAt,
      supersedes: superseded?.id ?? null,
      created_by: caller.actor,
      created_at: now,
    });
    await assertStillUnnamed(tables, input.producer, externalId, superseded);
    assertOpenPackagesFit(services.quotas, await tables.usage.change(input.producer, { open_packages: 1 }));
    await recordRetention(tables, caller, { package_id: id, action: 'set', at: now, expires_after: expiresAt });
    await recordChange(tables, caller, {
      at: now,
      action: 'package.created',
      package_id: id,
      detail: {
        name: input.name,
        producer: input.producer,
        external_id: externalId,
        retention_class: className,
        supersedes: superseded?.id ?? null,
      },
    });
    const pkg = await tables.packages.get(id);
    if (!pkg) throw new Error(`package ${id} is not there after its insert`);
    return { pkg, created: true };
  });
}

/** What an external id names: the current package, or the one that is being made while there is none. */
async function findNamed(
  tables: ReadTables,
  producer: string,
  externalId: string | null,
): Promise<PackageRecord | null> {
  if (externalId === null) return null;
  const { packages } = tables;
  return (await packages.findCurrent(producer, externalId)) ?? (await packages.findOpen(producer, externalId));
}

/**
 * What one request found free another may have taken, and finalized, since: PostgreSQL lets others write between the look and the insert.
 * The second package would be open beside the first one, and nobody would know of it. The insert has waited for whoever was about to
 * finalize (packages_one_open), so what is read after it is the truth. @throws LostRaceError
 */
async function assertStillUnnamed(
  tables: ReadTables,
  producer: string,
  externalId: string | null,
  superseded: PackageRecord | null,
): Promise<void> {
  if (externalId === null) return;
  const current = await tables.packages.findCurrent(producer, externalId);
  if (current !== null && current.id !== superseded?.id) throw new LostRaceError(`the external id ${externalId}`);
}

/**
 * The revision that the same request made before; null: there is none, and it may be made.
 * @throws StoreError already_superseded, invalid_supersedes
 */
async function findRevision(
  tables: Tables,
  old: PackageRecord,
  input: CreatePackageInput,
  externalId: string | null,
): Promise<PackageRecord | null> {
  const current = externalId === null ? null : await tables.packages.findCurrent(input.producer, externalId);
  if (current && current.id !== old.id) {
    if (current.supersedes === old.id) return current;
    throw alreadySuperseded(
      `The external id ${externalId} names ${current.id}: supersede that one, not ${old.id}.`,
      current,
    );
  }
  const revision = await tables.packages.findOpenRevision(old.id);
  if (revision && isSameRevision(revision, input)) return revision;
  if (revision) {
    throw alreadySuperseded(`${revision.id} is an open revision of ${old.id}: continue it, or delete it.`, revision);
  }
  const open = externalId === null ? null : await tables.packages.findOpen(input.producer, externalId);
  // That an open package itself cannot be revised is said below.
  if (open && open.id !== old.id) {
    throw alreadySuperseded(
      `${open.id} is open and has the external id ${externalId}: continue it, or delete it.`,
      open,
    );
  }
  assertSupersedable(old, input);
  return null;
}

function alreadySuperseded(detail: string, { id }: PackageRecord): StoreError {
  return new StoreError('already_superseded', detail, { package_id: id });
}

async function findClass(tables: ReadTables, name: string): Promise<RetentionClassRecord> {
  const found = await tables.retention.getClass(name);
  if (found) return found;
  const known = (await tables.retention.listClasses()).map((entry) => entry.name);
  throw new StoreError('unknown_retention_class', `There is no retention class ${name}: use ${known.join(', ')}.`, {
    errors: [{ field: 'retention_class', message: `must be one of ${known.join(', ')}` }],
  });
}
