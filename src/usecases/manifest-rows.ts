import { createHash } from 'node:crypto';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { type ManifestFile, type ManifestPackage, manifestChunks } from '../core/manifest.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { filePages } from './look-over-files.ts';

/** The manifest that the registry's rows make, in pieces. */
export function manifestOf(tables: ReadTables, sealed: PackageRecord): AsyncIterable<Buffer> {
  return manifestChunks(manifestPackage(sealed), manifestFiles(tables, sealed.id));
}

/** Of the manifest as this version writes it. Nothing is written. */
export async function manifestDigest(tables: ReadTables, sealed: PackageRecord): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of manifestOf(tables, sealed)) hash.update(chunk);
  return digestFromBytes(hash.digest());
}

export function manifestPackage(pkg: PackageRecord): ManifestPackage {
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

/** In the order of their paths, page by page. */
export async function* manifestFiles(tables: ReadTables, id: PackageId): AsyncGenerator<ManifestFile[]> {
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
