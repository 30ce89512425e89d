import { Gauge, type Registry as PrometheusRegistry } from 'prom-client';
import type { ObjectTotals } from '../usecases/records.ts';

/** Counting reads every object's row: not for each scrape. */
const AGE_MAX_MS = 60_000;

/**
 * What the blob store holds. While the registry does not respond, the gauges keep the last count.
 * @returns brings them up to date when they are too old; never throws
 */
export function totalsGauges(register: PrometheusRegistry, count: () => Promise<ObjectTotals>): () => Promise<void> {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [register] });
  const objects = gauge('artifact_store_objects', 'Objects in storage: packs, large files, manifests');
  const content = gauge('artifact_store_content_bytes', 'Bytes of content in the objects');
  const stored = gauge('artifact_store_stored_bytes', 'Bytes of the objects in storage: fewer if they are compressed');
  const condemned = gauge('artifact_store_condemned_objects', 'Objects that nothing needs, until a sweep removes them');
  const condemnedBytes = gauge('artifact_store_condemned_bytes', 'Bytes of those objects in storage');
  let countedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | null = null;

  async function refresh(): Promise<void> {
    const totals = await count().catch(() => null);
    countedAt = performance.now();
    if (totals === null) return;
    objects.set(totals.objects);
    content.set(totals.size);
    stored.set(totals.stored_size);
    condemned.set(totals.condemned);
    condemnedBytes.set(totals.condemned_size);
  }
  return async () => {
    if (performance.now() - countedAt < AGE_MAX_MS) return;
    counting ??= refresh().finally(() => {
      counting = null;
    });
    await counting;
  };
}
