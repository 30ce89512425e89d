import { createHash } from 'node:crypto';
import type { WrittenObject } from '../blobs/blob-store.ts';
import { manifestKey } from '../blobs/key-layout.ts';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import { isStoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { MANIFEST_SCHEMA, type ManifestFile, type ManifestPackage, manifestChunks } from '../core/manifest.ts';
import { splitManifest } from '../core/manifest-splitter.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { filePages } from './look-over-files.ts';
import type { Services, WithObjects, WithReader } from './services.ts';
import { versionOf } from './version-of.ts';

export type WrittenManifest = WrittenObject;

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
    if (standing === null) throw error;
    services.log.warn({ package: sealed.id }, 'the manifest was written by another version, and stays as it is');
    return standing;
  }
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

/** Null: what stands under the key is no manifest of this package. */
async function readStanding(services: Services<WithReader>, sealed: PackageRecord): Promise<WrittenManifest | null> {
  const hash = createHash('sha256');
  let size = 0;
  const key = manifestKey(sealed.id);
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
    if (!(await saysTheSame(services.registry.read, sealed, bytes()))) return null;
    return { digest: digestFromBytes(hash.digest()), size, versionId };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  } finally {
    stream.destroy();
  }
}

async function saysTheSame(
  tables: ReadTables,
  sealed: PackageRecord,
  bytes: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const ours = flat(manifestFiles(tables, sealed.id));
  let theirs: ManifestFile[] = [];
  const splitter = splitManifest((list) => {
    theirs.push(...(JSON.parse(list) as ManifestFile[]));
  });
  for await (const chunk of bytes) {
    splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    for (const { path, sha256, size } of theirs) {
      const mine = (await ours.next()).value;
      if (!mine || mine.path !== path || mine.sha256 !== sha256 || mine.size !== size) return false;
    }
    theirs = [];
  }
  if (!(await ours.next()).done) return false;
  const { package: said, schema } = splitter.end() as { package: JsonObject; schema: unknown };
  const [family] = MANIFEST_SCHEMA.split(/(?<=manifest\/)/);
  if (typeof schema !== 'string' || !schema.startsWith(family as string)) return false;
  // A version may say more, or less, but nothing else.
  const facts = Object.entries(manifestPackage(sealed)).filter(([name]) => name === 'id' || name in said);
  return facts.every(([name, value]) => canonicalJson(said[name] ?? null) === canonicalJson(value));
}

async function* flat(pages: AsyncIterable<ManifestFile[]>): AsyncGenerator<ManifestFile, undefined> {
  for await (const page of pages) yield* page;
}

function manifestPackage(pkg: PackageRecord): ManifestPackage {
  return {
    id: pkg.id,
    name: pkg.name,
    producer: pkg.producer,
    subject: pkg.subject,
    external_id: pkg.external_id,
    supersedes: pkg.supersedes,
    created_at: new Date(pkg.created_at).toISOString(),
    finalized_at: new Date(pkg.sealed_at as number).toISOString(),
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
