import type { PackageId } from '../core/ids.ts';
import type { PackageStatus } from '../core/package-state.ts';
import type { WithExpired } from '../registry/expiring-files.ts';
import type { EligibleRecord } from '../registry/packages.ts';
import type { Caller, Services } from './services.ts';

/** A package that may be deleted, or of which files may be removed. */
export interface Eligible {
  id: PackageId;
  name: string;
  producer: string;
  status: PackageStatus;
  retention_class: string;
  total_size: number;
  /** Of the package; with files, when the first of them could be removed. */
  expires_at: number;
  reason: 'expired' | 'files_expired';
  /** Null: all of it. */
  files: { count: number; bytes: number } | null;
}

/** What may be let go because its time is over, soonest first; `more` says that there is a further page. */
export async function listEligible(
  services: Services,
  caller: Caller,
  after: { expires_at: number; id: string } | null,
  limit: number,
): Promise<{ items: Eligible[]; more: boolean }> {
  const { read } = services.registry;
  const now = await read.now();
  const whole = await read.packages.listEligible(now, after, caller.reads, limit + 1);
  const parts = await read.files.listWithExpired(now, after, caller.reads, limit + 1);
  const items = [...whole.map(expired), ...parts.map(filesExpired)].toSorted(
    (a, b) => a.expires_at - b.expires_at || (a.id < b.id ? -1 : 1),
  );
  return { items: items.slice(0, limit), more: items.length > limit };
}

function expired({ active_holds: _, ...pkg }: EligibleRecord): Eligible {
  return { ...pkg, expires_at: pkg.expires_at as number, reason: 'expired', files: null };
}

function filesExpired({ due_at, files, bytes, ...pkg }: WithExpired): Eligible {
  return { ...pkg, expires_at: due_at, reason: 'files_expired', files: { count: files, bytes } };
}
