import type { ReadTables } from '../registry/read-tables.ts';

/** Why registry and store are to be compared before anything is removed. Times in ms. */
export type NotReconciled =
  /** The registry was filled from its store. */
  | { why: 'rebuilt'; at: number }
  /** The audit's log in storage has so many entries that the registry does not know, as after it was restored from a backup. */
  | { why: 'older'; at: number; entries: number };

/** Null: they belong together, or somebody has compared them since (`sweep --reconcile`). */
export async function notReconciled(tables: ReadTables): Promise<NotReconciled | null> {
  const since = (await tables.stores.getReconciledAt()) ?? Number.NEGATIVE_INFINITY;
  const rebuiltAt = (await tables.rebuilds.get())?.ended_at ?? null;
  if (rebuiltAt !== null && since <= rebuiltAt) return { why: 'rebuilt', at: rebuiltAt };
  const gap = (await tables.log.gaps()).at(-1);
  if (gap === undefined) return null;
  // The log was taken over from storage then, gap and checkpoint in one transaction (adopt-log.ts).
  const at = (await tables.log.checkpoint(gap.end))?.at ?? 0;
  return at > since ? { why: 'older', at, entries: gap.end - gap.first } : null;
}
