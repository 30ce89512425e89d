import { newId, type PackageId } from '../../src/core/ids.ts';
import { canonicalMetadata } from '../../src/core/metadata.ts';
import type { NewPackage } from '../../src/registry/packages.ts';
import type { Registry, Tables } from '../../src/registry/registry.ts';

/** A package's row, for tests of the registry alone; its retention class must be there. */
export async function addPackage(registry: Registry, fields: Partial<NewPackage> = {}): Promise<PackageId> {
  return registry.transaction((tables) => insertPackage(tables, fields));
}

export async function insertPackage(
  { packages }: Pick<Tables, 'packages'>,
  fields: Partial<NewPackage>,
): Promise<PackageId> {
  const created_at = fields.created_at ?? 1_000;
  const id = newId('pkg', created_at) as PackageId;
  const metadata = fields.metadata ?? {};
  await packages.insert({
    id,
    name: 'n',
    producer: 'p',
    subject: null,
    external_id: null,
    retention_class: 'raw-evidence',
    retention_days: 90,
    expires_at: null,
    supersedes: null,
    created_by: 'tests',
    created_at,
    ...fields,
    metadata,
    metadata_text: canonicalMetadata(metadata),
  });
  return id;
}
