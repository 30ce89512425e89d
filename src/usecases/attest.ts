import type { WrittenObject } from '../blobs/blob-store.ts';
import { attestationKey } from '../blobs/key-layout.ts';
import type { JsonObject } from '../core/canonical-json.ts';
import { type Digest, digestHex, digestOf } from '../core/digest.ts';
import { type Envelope, envelopeBytes } from '../core/dsse.ts';
import { newId, type PackageId, timeOfId } from '../core/ids.ts';
import { openStatement, type Preservation, signStatement, statementOf } from '../core/statement.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { filePages } from './look-over-files.ts';
import type { Services, WithDecisions, WithObjects } from './services.ts';
import { signingKey } from './signing-keys.ts';
import { writeSigned } from './write-signed.ts';

/** What seals a package. */
export type Seal = Pick<WrittenObject, 'digest' | 'size'>;

/** Signs what a sealed package is, and writes that beside its manifest, or finds it there. */
export async function writeAttestation(
  services: Services<WithObjects>,
  sealed: PackageRecord,
  manifest: Seal,
): Promise<WrittenObject> {
  const envelope = await signed(services, sealed, manifest);
  return writeSigned(services, attestationKey(sealed.id), envelope, (standing, keys) => {
    const { predicate } = openStatement(standing, keys).statement;
    return predicate.package.id === sealed.id && predicate.manifest.sha256 === digestHex(manifest.digest);
  });
}

/** Of the attestation as it would be signed now. */
export async function attestationDigest(
  services: Services<WithObjects>,
  sealed: PackageRecord,
  seal: Seal,
): Promise<Digest> {
  return digestOf(envelopeBytes(await signed(services, sealed, seal)));
}

/** Of a package that was finalized before the service signed, or whose attestation a rebuild did not find. Any number of times. */
export async function attest(services: Services<WithDecisions>, id: PackageId): Promise<void> {
  const { registry } = services;
  const pkg = await registry.read.packages.get(id);
  if (pkg?.status !== 'finalized' || pkg.attestation_digest !== null) return;
  const { manifest_digest: digest, manifest_size: size } = pkg;
  if (digest === null || size === null) return;
  const written = await writeAttestation(services, pkg, { digest, size });
  await registry.transaction(async (tables) => {
    const now = await tables.packages.lock(id);
    if (now?.status !== 'finalized' || now.attestation_digest !== null) return;
    await addAttestation(tables, id, written, newId('obj', await tables.now()));
    await tables.locks.want([id]);
  });
}

/** In the transaction: the registry knows it. @param objectId of its object @param readAt ms; default: it was just made */
export async function addAttestation(
  tables: Tables,
  id: PackageId,
  { digest, size, versionId }: WrittenObject,
  objectId: string,
  readAt?: number,
): Promise<void> {
  const object = { id: objectId, kind: 'attestation', key: attestationKey(id), version_id: versionId } as const;
  await tables.blobs.addObject({ ...object, digest, size, stored: null, created_at: timeOfId(objectId) }, readAt);
  await tables.packages.update(id, { attestation_digest: digest });
}

async function signed(services: Services<WithObjects>, sealed: PackageRecord, seal: Seal): Promise<Envelope> {
  const { registry, storeId } = services;
  const statement = await statementOf(factsOf(sealed, seal, storeId()), () => digests(registry, sealed.id));
  return signStatement(statement, await signingKey(services));
}

function factsOf(pkg: PackageRecord, { digest, size }: Seal, storeId: string | null): Omit<Preservation, 'subjects'> {
  const { id, name, producer, subject, external_id, supersedes, metadata, file_count, total_size } = pkg;
  return {
    package: { id, name, producer, subject, external_id, supersedes },
    source_commits: commitsOf(metadata),
    retention_class: pkg.retention_class,
    created_at: new Date(pkg.created_at).toISOString(),
    finalized_at: new Date(pkg.sealed_at as number).toISOString(),
    manifest: { sha256: digestHex(digest), size },
    file_count,
    total_size,
    store_id: storeId,
  };
}

/** Where a producer writes them into its metadata. */
function commitsOf({ source_commits: commits }: JsonObject): JsonObject {
  return typeof commits === 'object' && commits !== null && !Array.isArray(commits) ? commits : {};
}

async function* digests({ read }: Services['registry'], id: PackageId) {
  for await (const page of filePages(read, id)) {
    yield page.map(({ path, digest }) => ({ path, sha256: digestHex(digest) }));
  }
}
