import type { Amount } from './sweep-report.ts';

/** So many of a kind; the first of them by name. */
export interface Named {
  count: number;
  named: string[];
}

/** What a rebuild has brought back, and what it could not. */
export interface RebuildReport {
  /** Finalized packages, and tombstones of those that were deleted. */
  packages: number;
  tombstones: number;
  /** Of all of those. */
  files: number;
  /** Extensions, holds, releases, deletions, and that packages were finalized. */
  decisions: number;
  /** Objects whose bytes were read and are what their keys say, packs among them, and their bytes in storage. */
  objects: Amount;
  packs: number;
  /** Manifests that cannot be read, or are not what was sealed: their packages did not come back. By package. */
  damaged_manifests: Named;
  /** Packages of which there are decisions and no manifest: they were never finalized, or it is gone. By package. */
  without_manifest: Named;
  /** Decisions that cannot be read, or make no sense with the others. By key. */
  unreadable_decisions: Named;
  /** Packs of which something is damaged, and that have right members of some package: those can be read. By key. */
  damaged_packs: Named;
  /** Other objects whose bytes are not what their keys say: left alone. By key. */
  wrong_objects: Named;
  /** Bytes of living packages that no object has. By digest. */
  missing_blobs: Named;
}

/** Of each kind. */
export const NAMED_MAX = 100;

export function emptyRebuildReport(): RebuildReport {
  return {
    packages: 0,
    tombstones: 0,
    files: 0,
    decisions: 0,
    objects: { count: 0, bytes: 0 },
    packs: 0,
    damaged_manifests: none(),
    without_manifest: none(),
    unreadable_decisions: none(),
    damaged_packs: none(),
    wrong_objects: none(),
    missing_blobs: none(),
  };
}

export function none(): Named {
  return { count: 0, named: [] };
}

export function name(list: Named, what: string): void {
  list.count += 1;
  if (list.named.length < NAMED_MAX) list.named.push(what);
}

/** Whether all that packages need has come back, as far as storage tells. */
export function isWhole({ damaged_manifests, unreadable_decisions, missing_blobs }: RebuildReport): boolean {
  return damaged_manifests.count + unreadable_decisions.count + missing_blobs.count === 0;
}
