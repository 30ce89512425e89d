import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry as PrometheusRegistry } from 'prom-client';
import type { PackageStatus } from '../core/package-state.ts';
import type { UnendedState } from '../core/upload-state.ts';
import type { FixityCoverage } from '../usecases/fixity.ts';
import type { ObjectTotals, PackageTotals } from '../usecases/records.ts';
import type { WebhookTotals } from '../usecases/webhook-totals.ts';

/** Counting reads a row, or an entry of an index, of every object and package: not for each scrape. */
const AGE_MAX_MS = 60_000;
/** Prometheus gives a scrape up after 10 s, and then has no number at all. */
const PATIENCE_MS = 3_000;

export interface Totals extends ObjectTotals {
  packages: Record<PackageStatus, PackageTotals>;
  uploads: Record<UnendedState, number>;
  fixity: FixityCoverage;
  /** Objects that are known to be damaged, or gone. */
  damaged: number;
  /** When the last sweep that acted ended well, ms; null: none has. */
  swept_at: number | null;
  /** Packages and objects whose locks storage has not been told of. */
  unlocked: number;
  webhooks: WebhookTotals;
}

/**
 * What the registry knows, whichever replica is asked. Until it has been counted once there are no numbers; while the registry does not
 * answer, they are those of the last count.
 * @param patience how long a scrape waits for a count, ms
 * @returns brings them up to date when they are too old; never throws
 */
export function totalsGauges(
  register: PrometheusRegistry,
  count: () => Promise<Totals>,
  patience = PATIENCE_MS,
): () => Promise<void> {
  /** Without a number until it is set: 0 would be one. */
  const gauge = (name: string, help: string) => {
    const made = new Gauge({ name: `artifact_store_${name}`, help, registers: [register] });
    made.remove();
    return made;
  };
  const gaugeBy = (name: string, help: string, label: string) =>
    new Gauge({ name: `artifact_store_${name}`, help, labelNames: [label], registers: [register] });
  const packages = gaugeBy('packages', 'Packages, by status', 'status');
  const packageBytes = gaugeBy('package_bytes', 'Bytes of content of the files of packages, by status', 'status');
  const packageStored = gaugeBy(
    'package_stored_bytes',
    'Bytes in storage of the objects that hold the files of packages, when they were finalized, by status',
    'status',
  );
  const uploads = gaugeBy('uploads', 'Uploads that have not ended, by state', 'state');
  const objects = gauge('objects', 'Objects in storage: packs, large files, manifests, attestations');
  const content = gauge('content_bytes', 'Bytes of content in the objects');
  const stored = gauge('stored_bytes', 'Bytes of the objects in storage: fewer if they are compressed');
  const condemned = gauge('condemned_objects', 'Objects that nothing needs, until a sweep removes them');
  const condemnedBytes = gauge('condemned_bytes', 'Bytes of those objects in storage');
  const overdue = gauge('fixity_overdue_objects', 'Objects not read within ARTIFACT_STORE_FIXITY_PERIOD');
  const overdueBytes = gauge('fixity_overdue_bytes', 'Bytes of those objects in storage');
  const oldest = gauge(
    'fixity_oldest_seen_timestamp_seconds',
    'When that object was read (since 1970) that was not read for longest; none: there is no object',
  );
  const bad = gauge('damaged_objects', 'Objects whose bytes are wrong or gone, as fixity checks found them');
  const swept = gauge(
    'sweep_last_success_timestamp_seconds',
    'When a sweep that acts last ended well (since 1970); 0: none has',
  );
  const counted = gauge(
    'counted_timestamp_seconds',
    'When the registry was last counted for these gauges (since 1970)',
  );
  const unlocked = gauge('locks_behind', 'Packages and objects whose locks storage has not been told of yet');
  const webhooks = gauge('webhooks', 'Webhooks that were not stopped');
  const waiting = gauge('webhook_waiting_events', 'Events that a webhook did not take, and that are tried again');
  const dead = gauge('webhook_dead_events', 'Events that a webhook did not take, and that are tried no more');
  const lag = gauge('webhook_lag_seconds', 'How old the oldest event is that was not sent to every webhook yet');
  let askedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | null = null;

  async function refresh(): Promise<void> {
    const totals = await count().catch(() => null);
    askedAt = performance.now();
    if (totals === null) return;
    for (const [status, { packages: number, bytes, stored_bytes }] of Object.entries(totals.packages)) {
      packages.set({ status }, number);
      packageBytes.set({ status }, bytes);
      packageStored.set({ status }, stored_bytes);
    }
    for (const [state, number] of Object.entries(totals.uploads)) uploads.set({ state }, number);
    objects.set(totals.objects);
    content.set(totals.size);
    stored.set(totals.stored_size);
    condemned.set(totals.condemned);
    condemnedBytes.set(totals.condemned_size);
    overdue.set(totals.fixity.overdue.objects);
    overdueBytes.set(totals.fixity.overdue.bytes);
    if (totals.fixity.oldest_seen_at === null) oldest.remove();
    else oldest.set(totals.fixity.oldest_seen_at / 1_000);
    bad.set(totals.damaged);
    unlocked.set(totals.unlocked);
    webhooks.set(totals.webhooks.webhooks);
    waiting.set(totals.webhooks.waiting);
    dead.set(totals.webhooks.dead);
    lag.set(totals.webhooks.lag / 1_000);
    swept.set((totals.swept_at ?? 0) / 1_000);
    counted.set(Date.now() / 1_000);
  }
  return async () => {
    if (performance.now() - askedAt < AGE_MAX_MS) return;
    counting ??= refresh().finally(() => {
      counting = null;
    });
    const timer = new AbortController();
    const late = sleep(patience, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([counting, late]);
    timer.abort();
  };
}
