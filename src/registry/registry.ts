import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { type ApiTokenTable, apiTokenTable } from './api-tokens.ts';
import { type AuditTable, auditTable } from './audit.ts';
import { type BlobTable, blobTable } from './blobs.ts';
import { type Damage, damageOf } from './damage.ts';
import { type DamagedObjects, damagedObjects } from './damaged-objects.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { type FileTable, fileTable } from './files.ts';
import { type FixityRunTable, fixityRunTable } from './fixity-runs.ts';
import { type LogTable, logTable } from './log.ts';
import { migrate, type SchemaVersion } from './migrate.ts';
import { type ObjectCheckTable, objectCheckTable } from './object-checks.ts';
import { type ObjectLockTable, objectLockTable } from './object-locks.ts';
import { type PackageTable, packageTable } from './packages.ts';
import { lostRace } from './postgres-errors.ts';
import { readOnly } from './read-only.ts';
import type { ReadTables } from './read-tables.ts';
import { type RebuildTable, rebuildTable } from './rebuilds.ts';
import { type RetentionTable, retentionTable } from './retention.ts';
import { type ShareTable, shareTable } from './shares.ts';
import { type SigningKeyTable, signingKeyTable } from './signing-keys.ts';
import { type StoreTable, storeTable } from './stores.ts';
import { type SweepTable, sweepTable } from './sweeps.ts';
import { type UploadTable, uploadTable } from './uploads.ts';
import { type UsageTable, usageTable } from './usage.ts';
import { type WebhookDeliveryTable, webhookDeliveryTable } from './webhook-deliveries.ts';
import { type WebhookTable, webhookTable } from './webhooks.ts';

/** Every table, bound to one transaction. */
export interface Tables extends ReadTables {
  packages: PackageTable;
  files: FileTable;
  blobs: BlobTable;
  uploads: UploadTable;
  retention: RetentionTable;
  audit: AuditTable;
  stores: StoreTable;
  sweeps: SweepTable;
  checks: ObjectCheckTable;
  damaged: DamagedObjects;
  fixityRuns: FixityRunTable;
  rebuilds: RebuildTable;
  locks: ObjectLockTable;
  signingKeys: SigningKeyTable;
  apiTokens: ApiTokenTable;
  shares: ShareTable;
  log: LogTable;
  usage: UsageTable;
  webhooks: WebhookTable;
  deliveries: WebhookDeliveryTable;
}

export interface Registry {
  readonly kind: 'sqlite' | 'postgres';
  /** For reading outside transactions. The connection refuses what would write there, whatever these methods are. */
  readonly read: ReadTables;
  readonly schema: SchemaVersion;
  /**
   * All or nothing. No object-store I/O inside: the transaction must be short. `work` runs again, from its beginning,
   * when the database rolled it back for the sake of another transaction.
   */
  transaction<T>(work: (tables: Tables) => Promise<T>): Promise<T>;
  /** Throws when the database does not answer, or is known to be damaged. */
  ping(): Promise<void>;
  readonly damage: Damage;
  close(): Promise<void>;
}

export interface RegistryOptions {
  /** Milliseconds to add to the database's time, for tests that must see days pass. */
  timeShift?: () => number;
}

/** Migrates the database, then serves it. Closes it when the migration fails. */
export async function openRegistry(db: Knex, options: RegistryOptions = {}): Promise<Registry> {
  const kind = isPostgres(db) ? 'postgres' : 'sqlite';
  const damage = damageOf(db);
  const shift = options.timeShift ?? (() => 0);
  let schema: SchemaVersion;
  try {
    schema = await migrate(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const timeSql = 'select (extract(epoch from clock_timestamp()) * 1000)::bigint as now';
  // SQLite has no other clock than this machine's.
  const time = async (scope: Knex): Promise<number> =>
    kind === 'sqlite' ? Date.now() : Number(rowsOf<{ now: number }>(await scope.raw(timeSql))[0]?.now);

  const tables = (scope: Knex): Tables => ({
    packages: packageTable(scope),
    files: fileTable(scope),
    blobs: blobTable(scope),
    uploads: uploadTable(scope),
    retention: retentionTable(scope),
    audit: auditTable(scope),
    stores: storeTable(scope),
    sweeps: sweepTable(scope),
    checks: objectCheckTable(scope),
    damaged: damagedObjects(scope),
    fixityRuns: fixityRunTable(scope),
    rebuilds: rebuildTable(scope),
    locks: objectLockTable(scope),
    signingKeys: signingKeyTable(scope),
    apiTokens: apiTokenTable(scope),
    shares: shareTable(scope),
    log: logTable(scope),
    usage: usageTable(scope),
    webhooks: webhookTable(scope),
    deliveries: webhookDeliveryTable(scope),
    now: async () => (await time(scope)) + shift(),
  });

  return {
    kind,
    schema,
    read: tables(readOnly(db)),
    transaction: (work) => retried(() => db.transaction((trx) => work(tables(trx)))),
    ping: async () => {
      if (damage.seen !== null) throw damage.note(damage.seen);
      await db.raw('select 1');
    },
    damage,
    close: () => db.destroy(),
  };
}

const ATTEMPTS = 10;

/** Waits longer each time, never as long as the one it lost to. */
async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (failures === ATTEMPTS || !lostRace(error)) throw error;
      await sleep(Math.random() * Math.min(1_000, 10 * 2 ** failures));
    }
  }
}
