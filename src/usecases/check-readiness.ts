import type { BlobHealth } from '../blobs/blob-store.ts';
import { isStoreError } from '../core/errors.ts';
import type { StoreId } from '../core/store-identity.ts';

export type { BlobHealth };

import type { Services, WithHealth } from './services.ts';

export interface RegistryHealth {
  kind: string;
  ok: boolean;
  latency_ms: number;
  schema: string | null;
  /** What is wrong and what to do; may name hosts and databases. */
  error?: string;
  /** The same in one word, for everybody: ECONNREFUSED, 28P01. */
  error_code?: string;
}

export interface Readiness {
  ready: boolean;
  registry: RegistryHealth;
  blob_store: BlobHealth;
  /** Null: it is not known yet whether the store is the registry's. */
  store_id: StoreId | null;
  /** What the start has begun and not ended yet. */
  under_way: string[];
}

/** Asks both halves of the store whether they answer. Never throws. @param afresh also probes the backend once more */
export async function checkReadiness(services: Services<WithHealth>, afresh = false): Promise<Readiness> {
  const [registry, blob_store] = await Promise.all([checkRegistry(services), services.blobs.health(afresh)]);
  const store_id = services.storeId();
  const ready = registry.ok && blob_store.ok && store_id !== null;
  return { ready, registry, blob_store, store_id, under_way: services.underWay() };
}

async function checkRegistry({ registry }: Services): Promise<RegistryHealth> {
  const started = performance.now();
  const facts = { kind: registry.kind, schema: registry.schema.current };
  try {
    await registry.ping();
    return { ...facts, ok: true, latency_ms: elapsed(started) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...facts, ok: false, latency_ms: elapsed(started), error: message, error_code: codeOf(error) };
  }
}

function codeOf(error: unknown): string {
  if (isStoreError(error, 'registry_damaged')) return error.code;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && /^[A-Z0-9_]+$/.test(code)) return code;
  }
  return 'unavailable';
}

function elapsed(started: number): number {
  return Math.round((performance.now() - started) * 100) / 100;
}
