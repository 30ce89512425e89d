import type { BlobHealth } from '../blobs/blob-store.ts';
import type { Services } from './services.ts';

export interface RegistryHealth {
  kind: string;
  ok: boolean;
  latency_ms: number;
  schema: string | null;
  error?: string;
}

/** Asks both halves of the store whether they answer. Never throws. */
export async function checkReadiness(
  services: Services,
): Promise<{ ready: boolean; registry: RegistryHealth; blob_store: BlobHealth }> {
  const [registry, blob_store] = await Promise.all([checkRegistry(services), services.blobs.health()]);
  return { ready: registry.ok && blob_store.ok, registry, blob_store };
}

async function checkRegistry({ registry }: Services): Promise<RegistryHealth> {
  const started = performance.now();
  const facts = { kind: registry.kind, schema: registry.schema.current };
  try {
    await registry.ping();
    return { ...facts, ok: true, latency_ms: elapsed(started) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...facts, ok: false, latency_ms: elapsed(started), error: message };
  }
}

function elapsed(started: number): number {
  return Math.round((performance.now() - started) * 100) / 100;
}
