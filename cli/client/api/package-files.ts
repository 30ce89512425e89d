import type { Package } from '../../../src/api/types.ts';
import { isDigest } from '../../../src/core/digest.ts';
import { pathProblem } from '../../../src/core/logical-path.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { PackageFile } from '../package-file.ts';
import type { ApiClient } from './api-client.ts';
import { notAStore } from './not-a-store.ts';

/**
 * The files of a package, as its seal says: of a finalized one from the manifest, whose bytes must have the digest that
 * the package names; of another one from the list. @throws CliError integrity_failure, invalid_path, unreachable
 */
export async function packageFiles(client: ApiClient, pkg: Package): Promise<PackageFile[]> {
  return pkg.status === 'finalized' ? manifestFiles(client, pkg) : listedFiles(client, pkg);
}

/** The same from the list, which nothing seals. */
export async function listedFiles(client: ApiClient, pkg: Package): Promise<PackageFile[]> {
  const files: PackageFile[] = [];
  for await (const { path, digest, size, mtime, executable } of client.files(pkg.id)) {
    assertPath(path);
    if (!isDigest(digest)) throw broken(`${JSON.stringify(path)} has no SHA-256 digest.`, path);
    files.push({ path, digest, size, mtime, executable });
  }
  return files;
}

async function manifestFiles(client: ApiClient, pkg: Package): Promise<PackageFile[]> {
  const { digest, files, problem } = await client.manifestFiles(pkg);
  if (digest !== pkg.manifest_digest) {
    throw broken(`The manifest of ${pkg.id} has the digest ${digest}, but ${pkg.manifest_digest} seals the package.`);
  }
  if (problem !== null) throw notAStore(client.url, `the manifest of ${pkg.id} is not valid: ${problem}`);
  for (const { path } of files) assertPath(path);
  return files;
}

/** Files of a package, and those of them that were removed from it since it was finalized: nobody can read them. */
export interface SplitFiles {
  there: PackageFile[];
  removed: PackageFile[];
}

/** @param files of the package, some or all @throws CliError unreachable */
export async function splitRemoved(
  client: ApiClient,
  { id, deleted_file_count }: Package,
  files: readonly PackageFile[],
): Promise<SplitFiles> {
  if (deleted_file_count === 0) return { there: [...files], removed: [] };
  const deleted = await client.deletedPaths(id);
  return {
    there: files.filter(({ path }) => !deleted.has(path)),
    removed: files.filter(({ path }) => deleted.has(path)),
  };
}

function assertPath(path: string): void {
  const problem = pathProblem(path);
  if (problem === null) return;
  const options = { exit: EXIT.refused, code: 'invalid_path', extras: { path } } as const;
  throw new CliError(`The package lists ${JSON.stringify(path)}, which ${problem}.`, options);
}

function broken(message: string, path?: string): CliError {
  const extras = path === undefined ? {} : { path };
  return new CliError(message, { exit: EXIT.integrity, code: 'integrity_failure', extras });
}
