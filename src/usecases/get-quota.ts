import { byteQuota, type Usage } from '../core/quotas.ts';
import { mayRead } from '../registry/reads.ts';
import type { Caller, Services } from './services.ts';

/** What a producer has, and what it may have. */
export interface QuotaState extends Usage {
  /** Null: nothing says so. */
  quota_bytes: number | null;
  open_packages_max: number;
}

/**
 * The producers that the caller may read, in the order of their names' bytes.
 * @param only this one, also when it has nothing yet @param after the name of the last one that was given out
 */
export async function listQuotas(
  { registry, quotas }: Services,
  caller: Caller,
  only: string | undefined,
  after: string | null,
  limit: number,
): Promise<{ items: QuotaState[]; more: boolean }> {
  const { usage } = registry.read;
  const state = (found: Usage): QuotaState => ({
    ...found,
    quota_bytes: byteQuota(quotas, found.producer),
    open_packages_max: quotas.open_packages,
  });
  if (only !== undefined) {
    const found = mayRead(caller.reads, { producer: only }) ? [await usage.get(only)] : [];
    return { items: found.map(state), more: false };
  }
  const found = await usage.list(caller.reads, after, limit + 1);
  return { items: found.slice(0, limit).map(state), more: found.length > limit };
}
