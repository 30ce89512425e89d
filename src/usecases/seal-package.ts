import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { type SecretRecord, withSecretRecord } from '../core/secret-record.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { Tables } from '../registry/registry.ts';
import { abortOpen } from './abort-upload.ts';
import { lockPackage, readPackage } from './access.ts';
import { lookOverFiles } from './look-over-files.ts';
import { lookUpObjects } from './look-up-objects.ts';
import { recordChange } from './record-change.ts';
import { assertTakesOver } from './revisions.ts';
import type { Caller, Services, WithReader } from './services.ts';
import { assertNotFinalized } from './standing-manifest.ts';

/** What the caller expects to seal; each given value is checked against the package. */
export interface Expected {
  file_count?: number | undefined;
  total_size?: number | undefined;
  /** Of the list that `GET …/manifest?format=sha256sum` will answer. */
  files_digest?: Digest | undefined;
  /** Not checked: recorded in the metadata when the files are frozen. */
  secrets?: SecretRecord | undefined;
}

const MISSING_SHOWN = 100;
/** So often the files are looked over outside of the transaction that seals them, while others change them. */
const ATTEMPTS = 5;

/**
 * Freezes a package's files, and its metadata with what the producer found, after every object that holds their bytes was asked for. Sealed already: as it is.
 * @throws StoreError files_missing, count_mismatch, list_mismatch, package_empty, already_superseded, package_failed, …
 */
export async function sealPackage(
  services: Services<WithReader>,
  caller: Caller,
  id: PackageId,
  expected: Expected,
): Promise<PackageRecord> {
  const lookedUp = new Set<string>();
  for (let attempt = 1; ; attempt += 1) {
    const seen = await look(services, caller, id, expected, lookedUp);
    const sealed = await services.registry.transaction(async (tables) => {
      const pkg = await lockPackage(tables, caller, id);
      // The check takes time and must not block others: it counts if nothing has changed since. If something always
      // changes, the list is finally read here; files added meanwhile were proven a moment ago.
      if (pkg.files_version !== seen.version && attempt < ATTEMPTS) return null;
      const digest = pkg.files_version === seen.version ? seen.filesDigest : await listDigest(tables, id, expected);
      return freeze(tables, caller, pkg, expected, { ...seen, filesDigest: digest });
    });
    if (sealed !== null) return sealed;
  }
}

interface Seen {
  version: number;
  /** Null: nobody has asked. */
  filesDigest: Digest | null;
  /** Bytes in storage of what the files are read from; null: sealed before. */
  storedSize: number | null;
}

/** @param lookedUp objects that were asked for; more are added */
async function look(
  services: Services<WithReader>,
  caller: Caller,
  id: PackageId,
  expected: Expected,
  lookedUp: Set<string>,
): Promise<Seen> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, id);
  const version = pkg.files_version;
  if (pkg.finalized_at !== null || pkg.sealed_at !== null) {
    return { version, filesDigest: await listDigest(tables, id, expected), storedSize: null };
  }
  nextStatus(pkg, 'finalize');
  assertCounts(pkg, expected);
  // What was lost may be there again: that is seen below.
  assertNone(id, await tables.files.unproven(id, MISSING_SHOWN + 1));
  const [{ filesDigest, objectIds }] = await Promise.all([lookOverFiles(tables, id), assertNotFinalized(services, id)]);
  const unknown = [...objectIds].filter((objectId) => !lookedUp.has(objectId));
  await lookUpObjects(services, caller, id, unknown);
  for (const objectId of unknown) lookedUp.add(objectId);
  return { version, filesDigest, storedSize: await tables.blobs.storedSize([...objectIds]) };
}

async function listDigest(tables: ReadTables, id: PackageId, { files_digest }: Expected): Promise<Digest | null> {
  return files_digest === undefined ? null : (await lookOverFiles(tables, id)).filesDigest;
}

/** In the transaction. */
async function freeze(
  tables: Tables,
  caller: Caller,
  pkg: PackageRecord,
  expected: Expected,
  { filesDigest, storedSize }: Seen,
): Promise<PackageRecord> {
  const { id } = pkg;
  if (pkg.status !== 'finalized') nextStatus(pkg, 'finalize');
  assertCounts(pkg, expected);
  if (pkg.status !== 'finalized' && pkg.sealed_at === null) {
    assertNone(id, await tables.files.missing(id, MISSING_SHOWN + 1));
    const totals = await tables.files.totals(id);
    assertCounts({ id, ...totals }, expected);
    if (totals.file_count === 0) {
      throw new StoreError('package_empty', `${id} has no files: register some, or delete it.`);
    }
    await assertTakesOver(tables, pkg);
    assertList(id, filesDigest, expected);
    if (expected.secrets !== undefined) {
      await tables.packages.setMetadata(id, withSecretRecord(pkg.metadata, expected.secrets));
    }
    const now = await tables.now();
    await tables.packages.update(id, { ...totals, stored_size: storedSize, sealed_at: now, sealed_by: caller.actor });
    // The counts are those of the files from here on, whatever they were.
    const found = totals.total_size - pkg.total_size;
    if (found !== 0) await tables.usage.change(pkg.producer, { reserved_bytes: found });
    // Every file is proven: what is still open nobody needs.
    const uploads_aborted = await abortOpen(tables, caller, id, { reason: 'The package was sealed without it.' });
    await recordChange(tables, caller, {
      at: now,
      action: 'package.sealed',
      package_id: id,
      detail: { ...totals, uploads_aborted },
    });
  } else assertList(id, filesDigest, expected);
  return (await tables.packages.get(id)) as PackageRecord;
}

function assertNone(id: PackageId, missing: readonly LogicalPath[]): void {
  if (missing.length === 0) return;
  const more = missing.length > MISSING_SHOWN ? ` (the first ${MISSING_SHOWN} are named)` : '';
  throw new StoreError('files_missing', `Bytes of files of ${id} are missing${more}: send them, then finalize again.`, {
    paths: missing.slice(0, MISSING_SHOWN),
  });
}

function assertCounts(pkg: { id: PackageId; file_count: number; total_size: number }, expected: Expected): void {
  for (const field of ['file_count', 'total_size'] as const) {
    const wanted = expected[field];
    if (wanted === undefined || wanted === pkg[field]) continue;
    throw new StoreError('count_mismatch', `${pkg.id} has the ${field} ${pkg[field]}, not ${wanted}.`, {
      errors: [{ field, message: `is ${pkg[field]}` }],
    });
  }
}

function assertList(id: PackageId, actual: Digest | null, { files_digest: wanted }: Expected): void {
  if (wanted === undefined || actual === wanted) return;
  throw new StoreError(
    'list_mismatch',
    `The list of files of ${id} has the digest ${actual}, not ${wanted}: its files are not the expected ones.`,
    { expected_digest: wanted, actual_digest: actual },
  );
}
