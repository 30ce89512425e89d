import { StoreError } from './errors.ts';

export const PACKAGE_STATUSES = ['created', 'uploading', 'finalized', 'deleted', 'failed'] as const;
export type PackageStatus = (typeof PACKAGE_STATUSES)[number];

export type PackageEvent = 'register' | 'finalize' | 'fail' | 'delete';

/** Every legal transition. Any other transition cannot happen; the registry writes only what `nextStatus` returns. */
const TRANSITIONS: Record<PackageStatus, Partial<Record<PackageEvent, PackageStatus>>> = {
  created: { register: 'uploading', finalize: 'finalized', fail: 'failed', delete: 'deleted' },
  uploading: { register: 'uploading', finalize: 'finalized', fail: 'failed', delete: 'deleted' },
  finalized: { delete: 'deleted' },
  failed: { delete: 'deleted' },
  deleted: {},
};

export interface PackageFacts {
  id: string;
  status: PackageStatus;
  /** Set by the first transaction of finalize: from then on no file may change. */
  sealed_at: number | null;
}

/** @throws StoreError that says why this package cannot take this event */
export function nextStatus(pkg: PackageFacts, event: PackageEvent): PackageStatus {
  const next = TRANSITIONS[pkg.status][event];
  if (pkg.status === 'deleted') throw new StoreError('package_deleted', `Package ${pkg.id} was deleted.`);
  // Between the two transactions of finalize the status still says uploading, but the manifest is being written.
  const sealing = pkg.sealed_at !== null && (pkg.status === 'created' || pkg.status === 'uploading');
  if (sealing && event === 'delete') {
    throw new StoreError(
      'package_sealed',
      `Package ${pkg.id} is being finalized: wait until it is. Then its retention says when it may be deleted.`,
    );
  }
  if ((sealing && event !== 'finalize') || (pkg.status === 'finalized' && next === undefined)) {
    throw new StoreError(
      'package_sealed',
      `Package ${pkg.id} is finalized: create a new package with "supersedes": "${pkg.id}" to revise it.`,
    );
  }
  if (next === undefined) throw new StoreError('package_failed', `Package ${pkg.id} failed: create a new package.`);
  return next;
}

/** Reading bytes is possible in every status but these. @throws StoreError package_deleted */
export function assertReadable(pkg: PackageFacts): void {
  if (pkg.status === 'deleted') throw new StoreError('package_deleted', `Package ${pkg.id} was deleted.`);
}

/** Of a package that failed: a sweep may have found that nothing needs its bytes. */
export function bytesFreed({ id }: PackageFacts, path: string): StoreError {
  const detail = `Package ${id} failed, and the bytes of ${JSON.stringify(path)} have been freed since: nothing needed them.`;
  return new StoreError('package_failed', detail, { path });
}

/** Statuses whose external id is taken and whose proven files count for dedupe. */
export const LIVING_STATUSES = ['created', 'uploading', 'finalized'] as const satisfies readonly PackageStatus[];
