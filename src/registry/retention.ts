import type { Knex } from 'knex';
import type { DecisionAction } from '../core/decision.ts';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { ToldEvent, ToldHold } from '../core/package-history.ts';
import { classOf, type FileRule, type RetentionClasses } from '../core/retention.ts';
import { rowsOf } from './dialect.ts';
import { EXTENDED_UNTIL } from './expiring-files.ts';
import { fileRulesOf } from './file-rules.ts';
import { idRows, recordset } from './recordset.ts';

export interface HoldRecord extends ToldHold {
  package_id: PackageId;
}

export interface RetentionEventRecord extends Omit<ToldEvent, 'to_write'> {
  package_id: PackageId;
}

const EVENT_COLUMNS = [
  'e.id',
  'e.package_id',
  'e.action',
  'e.at',
  'e.actor',
  'e.reason',
  'e.hold_id',
  'e.expires_before',
  'e.expires_after',
] as const;

/** An event that storage is to have as well, with what it says of its package and its hold. */
export type UnwrittenEvent = RetentionEventRecord & {
  action: DecisionAction;
  seq: number;
  hold_reference: string | null;
  retention_days: number | null;
  /** JSON; null: none. */
  file_rules: string | null;
  created_by: string;
  manifest_digest: Digest | null;
  stored_size: number | null;
};

/** A deletion, and the audit event that its receipt is about. */
export type ReceiptEvent = RetentionEventRecord & { seq: number; receipt_event: string };

export interface RetentionClassRecord {
  name: string;
  /** Null: never. */
  days: number | null;
  file_rules: FileRule[];
}

type ClassRow = Omit<RetentionClassRecord, 'file_rules'> & { file_rules: string | null };

function classFromRow({ file_rules, ...row }: ClassRow): RetentionClassRecord {
  return { ...row, file_rules: fileRulesOf(file_rules) };
}

export function retentionTable(db: Knex) {
  function classes(): Knex.QueryBuilder {
    return db('retention_classes').where({ retired: false }).select('name', 'days', 'file_rules');
  }

  return {
    /** Makes the table say what the configuration says. A class that some package has is retired, never removed. */
    async syncClasses(classes: RetentionClasses): Promise<void> {
      // In one order on every replica.
      const sorted = Object.entries(classes).toSorted(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, value] of sorted) {
        const { days, files } = classOf(value);
        const file_rules = files.length === 0 ? null : JSON.stringify(files);
        await db('retention_classes').insert({ name, days, file_rules, retired: false }).onConflict('name').merge();
      }
      await db('retention_classes').whereNotIn('name', Object.keys(classes)).update({ retired: true });
    },

    async listClasses(): Promise<RetentionClassRecord[]> {
      const rows: ClassRow[] = await classes().orderBy('name');
      return rows.map(classFromRow);
    },

    async getClass(name: string): Promise<RetentionClassRecord | null> {
      const row: ClassRow | undefined = await classes().where({ name }).first();
      return row ? classFromRow(row) : null;
    },

    /** @returns its seq. toWrite: storage is to have it as well; receipt: the audit event that its receipt is about */
    async addEvent(
      event: RetentionEventRecord,
      { toWrite, receipt }: { toWrite: boolean; receipt: string | null },
    ): Promise<number> {
      const inserted = { ...event, to_write: toWrite, receipt_event: receipt };
      const [row] = await db('retention_events').insert(inserted, ['seq']);
      return Number((row as { seq: number }).seq);
    },

    /** The latest time to which somebody has extended a package; null: nobody has. */
    async extendedUntil(packageId: PackageId): Promise<number | null> {
      const [row] = rowsOf<{ until: number | null }>(
        await db.raw(`select ${EXTENDED_UNTIL} as until from packages p where p.id = ?`, [packageId]),
      );
      return row?.until ?? null;
    },

    /** Events that storage is to have and is not known to have yet, oldest first. */
    async unwritten(packageId: PackageId, limit: number): Promise<UnwrittenEvent[]> {
      const query = db('retention_events as e')
        .join('packages as p', 'p.id', 'e.package_id')
        .leftJoin('holds as h', 'h.id', 'e.hold_id')
        .where('e.package_id', packageId)
        .whereRaw('e.to_write = true')
        .orderBy('e.seq')
        .limit(limit);
      const rows: Array<Omit<UnwrittenEvent, 'manifest_digest'> & { manifest_digest: Buffer | null }> =
        await query.select(
          ...EVENT_COLUMNS,
          'e.seq',
          'h.reference as hold_reference',
          'p.retention_days',
          'p.file_rules',
          'p.created_by',
          'p.manifest_digest',
          'p.stored_size',
        );
      return rows.map((row) => ({
        ...row,
        manifest_digest: row.manifest_digest && digestFromBytes(row.manifest_digest),
      }));
    },

    /** Deletions whose receipts storage is not known to have, oldest first. */
    async withoutReceipt(packageId: PackageId, limit: number): Promise<ReceiptEvent[]> {
      return db('retention_events as e')
        .where('e.package_id', packageId)
        .whereRaw('e.receipt_event is not null and e.receipt_at is null')
        .orderBy('e.seq')
        .limit(limit)
        .select(...EVENT_COLUMNS, 'e.seq', 'e.receipt_event');
    },

    /** Packages that have such deletions. */
    async listWithoutReceipt(limit: number): Promise<PackageId[]> {
      const query = db('retention_events').whereRaw('receipt_event is not null and receipt_at is null');
      return query.distinct('package_id').orderBy('package_id').limit(limit).pluck('package_id');
    },

    async setReceipt(id: string, now: number): Promise<void> {
      await db('retention_events').where({ id }).update({ receipt_at: now });
    },

    /** Packages that have such events. */
    async listUnwritten(limit: number): Promise<PackageId[]> {
      const query = db('retention_events').whereRaw('to_write = true').distinct('package_id').orderBy('package_id');
      return (await query.limit(limit)).map((row: { package_id: PackageId }) => row.package_id);
    },

    /** Storage has these, in these versions. What their packages want of their locks may have changed with them. */
    async setWritten(written: ReadonlyArray<{ id: string; version_id: string | null }>): Promise<void> {
      const rows = recordset(
        db,
        { id: 'text', version_id: 'text' },
        written.map(({ id, version_id }) => [id, version_id]),
      );
      await db.raw(
        `update retention_events set to_write = false, version_id = r.version_id
         from ? r where retention_events.id = r.id and retention_events.to_write = true`,
        [rows],
      );
      await db.raw(
        `update packages set locks_wanted = locks_wanted + 1
         where id in (select e.package_id from retention_events e where e.id in (select r.id from ? r))`,
        [rows],
      );
    },

    /** Those of these ids that events have. */
    async eventsAmong(ids: readonly string[]): Promise<Set<string>> {
      const rows: Array<{ id: string }> = rowsOf(
        await db.raw('select e.id as id from ? r cross join retention_events e where e.id = r.id', [idRows(db, ids)]),
      );
      return new Set(rows.map(({ id }) => id));
    },

    /** Oldest first. */
    async events(packageId: PackageId): Promise<RetentionEventRecord[]> {
      return db('retention_events as e')
        .where({ package_id: packageId })
        .orderBy('seq')
        .select(...EVENT_COLUMNS);
    },

    async addHold(hold: HoldRecord): Promise<void> {
      await db('holds').insert(hold);
    },

    async getHold(packageId: PackageId, id: string): Promise<HoldRecord | null> {
      return (await db('holds').where({ package_id: packageId, id }).first()) ?? null;
    },

    /** Oldest first, released ones too. */
    async holds(packageId: PackageId): Promise<HoldRecord[]> {
      return db('holds').where({ package_id: packageId }).orderBy('id');
    },

    async releaseHold(
      id: string,
      released: Pick<HoldRecord, 'released_by' | 'released_at' | 'release_reason'>,
    ): Promise<void> {
      await db('holds').where({ id }).update(released);
    },
  };
}

export type RetentionTable = ReturnType<typeof retentionTable>;
