/**
 * Times and counts what another part of the system is asked. Who asks, and who counts, know only this.
 * @typeParam Operation what is asked: few words, which stand as labels in /metrics
 */
export interface CallMeter<Operation extends string> {
  /** @returns to be told once, of the answer: what was thrown, or nothing */
  began(operation: Operation): (thrown?: unknown) => void;
  /** An answer that had come, and was being read, broke off. */
  brokeOff(operation: Operation): void;
}

/** What the registry is asked: one of its reads, or a transaction from its beginning to its end. */
export const REGISTRY_OPERATIONS = ['read', 'transaction'] as const;
export type RegistryOperation = (typeof REGISTRY_OPERATIONS)[number];

/** What storage is asked: the methods of its contract that do I/O (src/blobs/blob-store.ts). */
export const STORAGE_OPERATIONS = [
  'create',
  'deliver_part',
  'receive_part',
  'stream_part',
  'list_parts',
  'complete',
  'settle',
  'abort',
  'drop',
  'list_begun',
  'open',
  'stat',
  'list',
  'write',
  'remove',
  'remove_many',
  'retain',
  'hold',
  'read_lock',
] as const;
export type StorageOperation = (typeof STORAGE_OPERATIONS)[number];

/** Does it, and tells the meter. */
export async function metered<Operation extends string, Result>(
  meter: CallMeter<Operation>,
  operation: Operation,
  work: () => Promise<Result>,
): Promise<Result> {
  const ended = meter.began(operation);
  try {
    const result = await work();
    ended();
    return result;
  } catch (thrown) {
    ended(thrown);
    throw thrown;
  }
}
