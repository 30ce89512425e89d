import { StoreError } from '../core/errors.ts';
import { assertFilesRemovable } from '../core/file-rules.ts';
import { newId, type PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage, readPackage } from './access.ts';
import { expiringGroups } from './count-expiring.ts';
import { decide } from './decide.ts';
import { recordChange, recordRetention } from './record-change.ts';
import type { Caller, Services, WithDecisions } from './services.ts';
import { assertDecisionsKnown } from './standing-manifest.ts';

/** Files that were removed, or may be, and those of the request that had been removed before. */
export interface Removal {
  files: number;
  bytes: number;
  already_deleted: number;
}

/** Paths in the audit event; the decision in storage has all. */
const AUDITED_MAX = 10;

/**
 * Removes files of a finalized package whose time is over by its file rules: all of them or none. The manifest stays as it is, and
 * each file keeps its row, with a tombstone. It cannot be read any more, proves nothing and needs nothing; its bytes go with the next
 * sweep, unless another file needs them. No lock but the package's: whoever registers the same bytes in another package at this
 * instant, and was shown a right to them, locks the blob before it counts on them (knownBytes), and a sweep locks it before it
 * condemns them. Again: the same answer.
 * @param paths at most FILES_PER_DECISION
 * @throws StoreError file_not_found, package_not_finalized, package_deleted, held, retention_active, registry_older
 */
export async function deleteFiles(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  paths: readonly LogicalPath[],
  reason: string,
): Promise<Removal> {
  await readPackage(services.registry.read, caller, id);
  await assertDecisionsKnown(services, id);
  return decide(services, id, async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    const { removed, removal } = await removable(tables, pkg, paths);
    if (removed.length === 0) return removal;
    const at = await tables.now();
    const change = { package_id: id, at, reason };
    const receipt = newId('evt', at);
    const event = await recordRetention(tables, caller, { ...change, action: 'files_deleted' }, { receipt });
    await tables.files.addDeleted(
      id,
      removed.map(({ path }) => path),
      event.seq,
    );
    for (const group of expiringGroups(pkg, removed)) await tables.files.takeExpiring(id, group);
    const { files, bytes } = removal;
    await tables.usage.change(pkg.producer, { used_bytes: -bytes });
    const some = removed.slice(0, AUDITED_MAX).map(({ path }) => path);
    await recordChange(tables, caller, {
      ...change,
      id: receipt,
      action: 'package.files_deleted',
      subject_id: event.id,
      detail: { files, bytes, paths: some },
    });
    return removal;
  });
}

/** Whether `deleteFiles` would remove these now; removes nothing. @throws StoreError as it does */
export async function checkDeletion(
  services: Services,
  caller: Caller,
  id: PackageId,
  paths: readonly LogicalPath[],
): Promise<Removal> {
  const tables = services.registry.read;
  return (await removable(tables, await readPackage(tables, caller, id), paths)).removal;
}

type Reading = Pick<Tables, 'now'> & {
  files: Pick<Tables['files'], 'atPaths'>;
  retention: Pick<Tables['retention'], 'holds' | 'extendedUntil'>;
};

async function removable(
  tables: Reading,
  pkg: PackageRecord,
  paths: readonly LogicalPath[],
): Promise<{ removed: FileRecord[]; removal: Removal }> {
  assertReadable(pkg);
  if (pkg.status !== 'finalized' || pkg.finalized_at === null) {
    const detail = `${pkg.id} is ${pkg.status}: its file rules count from when it is finalized.`;
    throw new StoreError('package_not_finalized', detail);
  }
  const found = await tables.files.atPaths(pkg.id, paths);
  const unknown = paths.find((path) => !found.has(path));
  if (unknown !== undefined) {
    throw new StoreError('file_not_found', `${pkg.id} has no file ${JSON.stringify(unknown)}.`, { path: unknown });
  }
  const removed = [...found.values()].filter(({ deleted_at }) => deleted_at === null);
  const holds = (await tables.retention.holds(pkg.id)).filter(({ released_at }) => released_at === null);
  const kept = { ...pkg, finalized_at: pkg.finalized_at, extended_until: await tables.retention.extendedUntil(pkg.id) };
  if (removed.length > 0) {
    assertFilesRemovable(
      kept,
      holds,
      removed.map(({ path }) => path),
      await tables.now(),
    );
  }
  const bytes = removed.reduce((sum, { size }) => sum + size, 0);
  return { removed, removal: { files: removed.length, bytes, already_deleted: found.size - removed.length } };
}
