/** So many things of a kind, and their bytes in storage. */
export interface Amount {
  count: number;
  bytes: number;
}

/** What a sweep found, and what it did. Amounts are of objects where no other word stands. */
export interface SweepReport {
  /** Nothing needs them; condemned now, when the sweep acts. */
  unneeded: Amount;
  /** Packs that are mostly dead, or small: their needed members are written anew, when the sweep acts. Bytes in storage. */
  sparse: Amount;
  /** What was written in their place. */
  rewritten: Amount;
  /** Condemned, and their time is not over; not locked. */
  waiting: Amount;
  /** Nothing needs them, and storage keeps them: they are locked. Removed by a sweep that comes after that. */
  locked: Amount;
  /** Condemned, and their time is over: removed now, when the sweep acts. */
  due: Amount;
  /** Of uploads that ended without one; removed now, when the sweep acts. */
  leftovers: Amount;
  /** The registry has never heard of them; removed now, when the sweep acts. */
  unknown: Amount;
  /** Not in the registry either, but kept: a file may need them. */
  unknown_kept: Amount;
  /** Too young to be judged. */
  young: Amount;
  /** The registry has them, storage does not, or not whole. */
  missing: Amount;
  /** Uploads that storage has begun and not ended, of which the registry knows that they ended. Without bytes. */
  unfinished_uploads: Amount;
  /** The same, but storage may have completed them: they are left alone. */
  unfinished_kept: Amount;
  /** Files that were on their way in. */
  spool: Amount;
  /** What this sweep removed. */
  freed: Amount;
  /** Packages of which the store has manifests or decisions that the registry does not know: the first hundred. */
  unknown_packages: string[];
  /** Requests to storage: made, and for removing what is due. */
  requests: number;
}

const none = (): Amount => ({ count: 0, bytes: 0 });

export function emptyReport(): SweepReport {
  return {
    unneeded: none(),
    sparse: none(),
    rewritten: none(),
    waiting: none(),
    locked: none(),
    due: none(),
    leftovers: none(),
    unknown: none(),
    unknown_kept: none(),
    young: none(),
    missing: none(),
    unfinished_uploads: none(),
    unfinished_kept: none(),
    spool: none(),
    freed: none(),
    unknown_packages: [],
    requests: 0,
  };
}

export function addTo(amount: Amount, bytes: number, count = 1): void {
  amount.count += count;
  amount.bytes += bytes;
}
