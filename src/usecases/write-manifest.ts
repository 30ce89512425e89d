import { createHash } from 'node:crypto';
import type { WrittenObject } from '../blobs/blob-store.ts';
import { manifestKey } from '../blobs/key-layout.ts';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { MANIFEST_SCHEMA, type ManifestFile, type ManifestPackage, manifestChunks } from '../core/manifest.ts';
import { splitManifest } from '../core/manifest-splitter.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { filePages } from './look-over-files.ts';
import type { Services, WithObjects, WithReader } from './services.ts';
import { versionOf } from './version-of.ts';

export type WrittenManifest = WrittenObject;

/** A manifest that somebody else has written. */
interface StandingManifest extends WrittenManifest {
  /** As it says, ms. */
  finalizedAt: number;
}

/**
 * Writes the manifest of a sealed package under its key, or finds it there: whoever seals it again, after a crash or at
 * the same time, writes the same bytes. Another version of this software may have written different bytes before it was
 * stopped; its manifest counts if it says the same of the package and its files.
 * @throws StoreError integrity_failure when something else stands there
 */
export async function writeManifest(services: Services<WithObjects>, sealed: PackageRecord): Promise<WrittenManifest> {
  const key = manifestKey(sealed.id);
  try {
    return await services.blobs.objects.write(key, manifestOf(services.registry.read, sealed));
  } catch (error) {
    const standing = isStoreError(error, 'integrity_failure') ? await readStanding(services, sealed) : null;
    if (standing?.finalizedAt !== sealed.sealed_at) throw error;
    services.log.warn({ package: sealed.id }, 'the manifest was written by another version, and stays as it is');
    return standing;
  }
}

/**
 * When a package was finalized that this registry knows as unfinished: storage has a manifest of it, so the registry is older than the store.
 * @param pkg as it would be sealed @returns ms; null: it was not @throws StoreError registry_older: its manifest says something else than its rows
 */
export async function finalizedBefore(services: Services<WithReader>, pkg: PackageRecord): Promise<number | null> {
  if (!(await isOlder(services, pkg.id))) return null;
  const standing = await readStanding(services, pkg);
  if (standing === null) throw finalizedSince(pkg.id, 'with other files or other facts than the registry has of it');
  return standing.finalizedAt;
}

/** @throws StoreError registry_older: storage has a manifest of a package that this registry knows as unfinished */
export async function assertNotFinalized(services: Services<WithReader>, id: PackageId): Promise<void> {
  if (await isOlder(services, id)) throw finalizedSince(id, 'which the registry does not know');
}

/** Whether storage has the manifest of a package that the registry has not sealed. */
async function isOlder({ blobs, registry }: Services<WithReader>, id: PackageId): Promise<boolean> {
  if ((await blobs.objects.stat({ key: manifestKey(id), versionId: null })) === null) return false;
  // Read afterwards: somebody may be finalizing it, who seals it before its manifest is written.
  return (await registry.read.packages.get(id))?.sealed_at === null;
}

function finalizedSince(id: PackageId, how: string): StoreError {
  return new StoreError(
    'registry_older',
    `The store has a manifest of ${id}: it was finalized, ${how}. The registry is older than the store, and nothing was changed. Restore a newer backup of the registry, or fill an empty one from the store with \`artifact-store rebuild --from-storage\`.`,
    { packages: [id] },
  );
}

/** Of the manifest as this version writes it. Nothing is written. */
export async function manifestDigest(tables: ReadTables, sealed: PackageRecord): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of manifestOf(tables, sealed)) hash.update(chunk);
  return digestFromBytes(hash.digest());
}

/** The manifest that the registry's rows make, in pieces. */
function manifestOf(tables: ReadTables, sealed: PackageRecord): AsyncIterable<Buffer> {
  return manifestChunks(manifestPackage(sealed), manifestFiles(tables, sealed.id));
}

/** Null: what stands under the key says something else of this package, or is no manifest. Whenever it was finalized. */
async function readStanding(services: Services<WithReader>, pkg: PackageRecord): Promise<StandingManifest | null> {
  const hash = createHash('sha256');
  let size = 0;
  const key = manifestKey(pkg.id);
  const versionId = await versionOf(services.blobs.objects, { key, versionId: null });
  const stream = await services.blobs.objects.open({ key, versionId });
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  try {
    const finalizedAt = await whenItSaysTheSame(services.registry.read, pkg, bytes());
    return finalizedAt === null ? null : { digest: digestFromBytes(hash.digest()), size, versionId, finalizedAt };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  } finally {
    stream.destroy();
  }
}

/** @returns when a manifest says that the package was finalized; null: it says of its files, or of itself, something else */
async function whenItSaysTheSame(
  tables: ReadTables,
  pkg: PackageRecord,
  bytes: AsyncIterable<Uint8Array>,
): Promise<number | null> {
  const ours = flat(manifestFiles(tables, pkg.id));
  let theirs: ManifestFile[] = [];
  const splitter = splitManifest((list) => {
    theirs.push(...(JSON.parse(list) as ManifestFile[]));
  });
  for await (const chunk of bytes) {
    splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    for (const { path, sha256, size } of theirs) {
      const mine = (await ours.next()).value;
      if (!mine || mine.path !== path || mine.sha256 !== sha256 || mine.size !== size) return null;
    }
    theirs = [];
  }
  if (!(await ours.next()).done) return null;
  const { package: said, schema } = splitter.end() as { package: JsonObject; schema: unknown };
  const [family] = MANIFEST_SCHEMA.split(/(?<=manifest\/)/);
  if (typeof schema !== 'string' || !schema.startsWith(family as string)) return null;
  // A version may say more, or less, but nothing else.
  const { finalized_at, ...facts } = manifestPackage(pkg);
  const shared = Object.entries(facts).filter(([name]) => name === 'id' || name in said);
  if (!shared.every(([name, value]) => canonicalJson(said[name] ?? null) === canonicalJson(value))) return null;
  const finalizedAt = Date.parse(String(said.finalized_at));
  return Number.isNaN(finalizedAt) ? null : finalizedAt;
}

async function* flat(pages: AsyncIterable<ManifestFile[]>): AsyncGenerator<ManifestFile, undefined> {
  for await (const page of pages) yield* page;
}

/** @param pkg one that is not sealed has no time yet: the beginning of 1970 */
function manifestPackage(pkg: PackageRecord): ManifestPackage {
  return {
    id: pkg.id,
    name: pkg.name,
    producer: pkg.producer,
    subject: pkg.subject,
    external_id: pkg.external_id,
    supersedes: pkg.supersedes,
    created_at: new Date(pkg.created_at).toISOString(),
    finalized_at: new Date(pkg.sealed_at ?? 0).toISOString(),
    retention_class: pkg.retention_class,
    metadata: pkg.metadata,
  };
}

async function* manifestFiles(tables: ReadTables, id: PackageId): AsyncGenerator<ManifestFile[]> {
  for await (const page of filePages(tables, id)) {
    yield page.map((file) => ({
      path: file.path,
      sha256: digestHex(file.digest),
      size: file.size,
      media_type: file.media_type,
      ...(file.mtime === null ? {} : { mtime: file.mtime }),
      ...(file.executable ? { executable: true as const } : {}),
    }));
  }
}
