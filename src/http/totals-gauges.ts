import { Gauge, type Registry as PrometheusRegistry } from 'prom-client';
import type { FixityCoverage } from '../usecases/fixity.ts';
import type { ObjectTotals } from '../usecases/records.ts';

/** Counting reads every object's row: not for each scrape. */
const AGE_MAX_MS = 60_000;

export interface Totals extends ObjectTotals {
  fixity: FixityCoverage;
  /** Objects that are known to be damaged, or gone. */
  damaged: number;
  /** Packages and objects whose locks storage has not been told of. */
  unlocked: number;
}

/**
 * What the blob store holds, and how much of it was read lately. While the registry does not respond, the gauges keep the last count.
 * @returns brings them up to date when they are too old; never throws
 */
export function totalsGauges(register: PrometheusRegistry, count: () => Promise<Totals>): () => Promise<void> {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [register] });
  const objects = gauge('artifact_store_objects', 'Objects in storage: packs, large files, manifests');
  const content = gauge('artifact_store_content_bytes', 'Bytes of content in the objects');
  const stored = gauge('artifact_store_stored_bytes', 'Bytes of the objects in storage: fewer if they are compressed');
  const condemned = gauge('artifact_store_condemned_objects', 'Objects that nothing needs, until a sweep removes them');
  const condemnedBytes = gauge('artifact_store_condemned_bytes', 'Bytes of those objects in storage');
  const overdue = gauge(
    'artifact_store_fixity_overdue_objects',
    'Objects not read within ARTIFACT_STORE_FIXITY_PERIOD',
  );
  const overdueBytes = gauge('artifact_store_fixity_overdue_bytes', 'Bytes of those objects in storage');
  const oldest = gauge(
    'artifact_store_fixity_oldest_seen_timestamp_seconds',
    'When that object was read (since 1970) that was not read for longest',
  );
  const bad = gauge(
    'artifact_store_damaged_objects',
    'Objects whose bytes are wrong or gone, as fixity checks found them',
  );
  const unlocked = gauge(
    'artifact_store_locks_behind',
    'Packages and objects whose locks storage has not been told of yet',
  );
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
    overdue.set(totals.fixity.overdue.objects);
    overdueBytes.set(totals.fixity.overdue.bytes);
    oldest.set((totals.fixity.oldest_seen_at ?? 0) / 1_000);
    bad.set(totals.damaged);
    unlocked.set(totals.unlocked);
  }
  return async () => {
    if (performance.now() - countedAt < AGE_MAX_MS) return;
    counting ??= refresh().finally(() => {
      counting = null;
    });
    await counting;
  };
}
