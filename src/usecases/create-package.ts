import type { JsonObject } from '../core/canonical-json.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { canonicalMetadata } from '../core/metadata.ts';
import { DEFAULT_RETENTION_CLASS, daysAfter } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { mayRead } from '../registry/reads.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage } from './access.ts';
import { recordChange, recordRetention } from './record.ts';
import type { Caller, Services } from './services.ts';

export interface CreatePackageInput {
  name: string;
  producer: string;
  subject?: string | undefined;
  external_id?: string | undefined;
  retention_class?: string | undefined;
  metadata?: JsonObject | undefined;
  supersedes?: PackageId | undefined;
}

/**
 * Registers a package, or gives back the living one that has the same (producer, external id), so that a retried ingest
 * continues where it stopped.
 * @throws StoreError forbidden, invalid_metadata, unknown_retention_class, invalid_supersedes, already_superseded
 */
export async function createPackage(
  services: Services,
  caller: Caller,
  input: CreatePackageInput,
): Promise<{ pkg: PackageRecord; created: boolean }> {
  if (!mayRead(caller.reads, input)) {
    throw new StoreError('forbidden', `This caller may not make packages of the producer ${input.producer}.`);
  }
  const metadata = input.metadata ?? {};
  const metadataText = canonicalMetadata(metadata);
  return services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const superseded = input.supersedes === undefined ? null : await lockPackage(tables, caller, input.supersedes);
    // A revision is named as what it revises.
    const externalId = input.external_id ?? superseded?.external_id ?? null;
    if (externalId !== null) {
      const existing = await tables.packages.findByExternalId(input.producer, externalId);
      if (existing && (!superseded || existing.supersedes === superseded.id)) return { pkg: existing, created: false };
      if (existing && existing.id !== superseded?.id) {
        throw new StoreError(
          'already_superseded',
          `The external id ${externalId} names ${existing.id}: supersede that one, not ${superseded?.id}.`,
          { package_id: existing.id },
        );
      }
    }
    if (superseded) assertSupersedable(superseded, input);
    const className = input.retention_class ?? superseded?.retention_class ?? DEFAULT_RETENTION_CLASS;
    const retentionClass = await findClass(tables, className);
    const id = newId('pkg', now) as PackageId;
    const expiresAt = daysAfter(now, retentionClass.days);
    // The old package gives the external id away before the new one takes it.
    if (superseded) await tables.packages.update(superseded.id, { superseded_by: id });
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
      expires_at: expiresAt,
      supersedes: superseded?.id ?? null,
      created_by: caller.actor,
      created_at: now,
    });
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

function assertSupersedable(old: PackageRecord, input: CreatePackageInput): void {
  if (old.superseded_by !== null) {
    throw new StoreError('already_superseded', `${old.id} is superseded by ${old.superseded_by}: supersede that one.`, {
      package_id: old.superseded_by,
    });
  }
  if (old.status === 'failed' || old.status === 'deleted') {
    throw new StoreError('invalid_supersedes', `${old.id} is ${old.status}: make a package that supersedes nothing.`);
  }
  if (input.external_id !== undefined && old.external_id !== null && old.external_id !== input.external_id) {
    throw new StoreError(
      'invalid_supersedes',
      `${old.id} has the external id ${old.external_id}: a revision has the same, or leaves it out.`,
    );
  }
  if (old.producer !== input.producer) {
    throw new StoreError('invalid_supersedes', `${old.id} is a package of ${old.producer}, not of ${input.producer}.`);
  }
}

async function findClass(tables: Tables, name: string): Promise<{ days: number | null }> {
  const found = await tables.retention.getClass(name);
  if (found) return found;
  const known = (await tables.retention.listClasses()).map((entry) => entry.name);
  throw new StoreError('unknown_retention_class', `There is no retention class ${name}: use ${known.join(', ')}.`, {
    errors: [{ field: 'retention_class', message: `must be one of ${known.join(', ')}` }],
  });
}
