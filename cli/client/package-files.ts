import type { Package } from '../../src/api/types.ts';
import { digestFromHex, digestOf, isDigest } from '../../src/core/digest.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { CliError, EXIT } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import type { ComparedFile } from './compare.ts';

export interface PackageFile extends ComparedFile {
  mtime: string | null;
  executable: boolean;
}

/**
 * The files of a package, as its seal says: of a finalized one from the manifest, whose bytes must have the digest that
 * the package names; of another one from the list. @throws CliError integrity_failure
 */
export async function packageFiles(client: ApiClient, pkg: Package): Promise<PackageFile[]> {
  if (pkg.status === 'finalized') return manifestFiles(client, pkg);
  const files: PackageFile[] = [];
  for await (const { path, digest, size, mtime, executable } of client.files(pkg.id)) {
    if (!isDigest(digest)) throw broken(`${JSON.stringify(path)} has no SHA-256 digest.`, path);
    files.push({ path, digest, size, mtime, executable });
  }
  return files;
}

async function manifestFiles(client: ApiClient, pkg: Package): Promise<PackageFile[]> {
  const bytes = await client.manifest(pkg.id);
  const digest = digestOf(bytes);
  if (digest !== pkg.manifest_digest) {
    throw broken(`The manifest of ${pkg.id} has the digest ${digest}, but ${pkg.manifest_digest} seals the package.`);
  }
  const manifest = parseManifest(bytes, pkg.id);
  return manifest.files.map(({ path, sha256, size, mtime, executable }) => {
    if (typeof path !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
      throw broken(`The manifest of ${pkg.id} is broken.`);
    return { path, digest: digestFromHex(sha256), size, mtime: mtime ?? null, executable: executable ?? false };
  });
}

function parseManifest(bytes: Buffer, id: string): Manifest {
  try {
    const manifest = JSON.parse(bytes.toString()) as Manifest;
    if (manifest.package.id === id && Array.isArray(manifest.files)) return manifest;
  } catch {}
  throw broken(`The manifest of ${id} is not one.`);
}

function broken(message: string, path?: string): CliError {
  const extras = path === undefined ? {} : { path };
  return new CliError(message, { exit: EXIT.integrity, code: 'integrity_failure', extras });
}
