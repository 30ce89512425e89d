import type { Knex } from 'knex';
import { canonicalJson } from '../core/canonical-json.ts';
import { type Digest, digestFromBytes, digestToBytes, EMPTY_DIGEST } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { PackageHistory } from '../core/package-history.ts';
import type { PackageStatus } from '../core/package-state.ts';
import type { RebuildReport } from '../core/rebuild-report.ts';
import { rowsOf } from './dialect.ts';
import { blobOfEach } from './numbers.ts';
import { digestRows } from './recordset.ts';
import { isNeeded } from './unneeded-objects.ts';

export type RebuildStage = 'packages' | 'objects' | 'settling' | 'done';

/** How far the registry has been filled from its store. */
export interface RebuildRecord {
  run: string;
  stage: RebuildStage;
  /** The last key that is done in this stage. */
  after: string;
  report: RebuildReport;
  began_at: number;
  /** Null: the registry is not whole. */
  ended_at: number | null;
}

/** A package that revises another one, or is revised. */
export interface ChainMember {
  id: PackageId;
  supersedes: PackageId | null;
  status: PackageStatus;
  finalized_at: number | null;
  deleted_at: number | null;
}

/** There is one. */
const THE_REBUILD = 1;
/** Rows of one insert: far below any limit of parameters. */
const ROWS = 500;

/** The rebuild of this registry, and what only it writes. */
export function rebuildTable(db: Knex) {
  async function change(run: string, columns: Record<string, unknown>): Promise<void> {
    const changed: number = await db('rebuilds').where({ no: THE_REBUILD, run }).update(columns);
    if (changed === 0)
      throw new StoreError('unavailable', 'Another rebuild of this registry has taken over: let that one end.');
  }

  async function insertAll(table: string, rows: readonly object[]): Promise<void> {
    for (let at = 0; at < rows.length; at += ROWS) await db(table).insert(rows.slice(at, at + ROWS));
  }

  return {
    /** Null: this registry was never filled from its store. */
    async get(): Promise<RebuildRecord | null> {
      const row: (Omit<RebuildRecord, 'report'> & { report: string }) | undefined = await db('rebuilds')
        .where({ no: THE_REBUILD })
        .first('run', 'stage', 'after', 'report', 'began_at', 'ended_at');
      return row ? { ...row, report: JSON.parse(row.report) as RebuildReport } : null;
    },

    /** Nobody else goes on after this. */
    async begin(run: string, report: RebuildReport, now: number): Promise<void> {
      const row = { no: THE_REBUILD, run, stage: 'packages', after: '', report: canonicalJson(report), began_at: now };
      await db('rebuilds').insert(row).onConflict('no').merge(['run']);
    },

    /** @throws StoreError unavailable when another process has begun to go on */
    async advance(run: string, stage: RebuildStage, after: string, report: RebuildReport): Promise<void> {
      await change(run, { stage, after, report: canonicalJson(report) });
    },

    async end(run: string, report: RebuildReport, now: number): Promise<void> {
      await change(run, { stage: 'done', after: '', report: canonicalJson(report), ended_at: now });
      await db('rebuild_revisions').delete();
    },

    /** A class that a package has and the configuration does not. */
    async keepClass(name: string, days: number | null): Promise<void> {
      await db('retention_classes').insert({ name, days, retired: true }).onConflict('name').ignore();
    },

    async addRevision(packageId: PackageId, supersedes: string): Promise<void> {
      await db('rebuild_revisions').insert({ package_id: packageId, supersedes }).onConflict('package_id').ignore();
    },

    /** @param versions of the objects of decisions, by their ids */
    async addHistory(
      packageId: PackageId,
      { holds, events }: PackageHistory,
      versions: ReadonlyMap<string, string>,
    ): Promise<void> {
      const ofIt = <Row extends object>(row: Row) => ({ ...row, package_id: packageId });
      await insertAll('holds', holds.map(ofIt));
      const versioned = events.map((event) => ({ ...ofIt(event), version_id: versions.get(event.id) ?? null }));
      await insertAll('retention_events', versioned);
    },

    /** Of an event of the history, its place among all. */
    async seqOf(eventId: string): Promise<number> {
      const row: { seq: number } | undefined = await db('retention_events').where({ id: eventId }).first('seq');
      if (row === undefined) throw new Error(`the event ${eventId} is not there after its insert`);
      return Number(row.seq);
    },

    /** Those of these digests that some file has, of a living package or not, and how many bytes it says they are. */
    async filesAmong(digests: readonly Digest[]): Promise<Map<Digest, number>> {
      if (digests.length === 0) return new Map();
      const size = '(select f.size from package_files f where f.blob_no = b.no limit 1)';
      const rows: Array<{ digest: Buffer; size: number | null }> = rowsOf(
        await db.raw(`select b.digest as digest, ${size} as size from ?`, [blobOfEach(db, digestRows(db, digests))]),
      );
      return new Map(rows.flatMap(({ digest, size }) => (size === null ? [] : [[digestFromBytes(digest), size]])));
    },

    /** From now on packages say what they revise, where that is known. */
    async setSupersedes(): Promise<void> {
      await db.raw('delete from rebuild_revisions where supersedes not in (select id from packages)');
      await db.raw(
        `update packages set supersedes = (select r.supersedes from rebuild_revisions r where r.package_id = packages.id)
         where id in (select package_id from rebuild_revisions)`,
      );
    },

    /** The oldest of each chain of revisions. */
    async listOldest(after: string, limit: number): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = rowsOf(
        await db.raw(
          `select distinct r.supersedes as id from rebuild_revisions r where r.supersedes > ?
           and not exists (select 1 from rebuild_revisions x where x.package_id = r.supersedes) order by 1 limit ?`,
          [after, limit],
        ),
      );
      return rows.map(({ id }) => id);
    },

    /** It, and all that revise it, directly or not. */
    async chainOf(oldest: PackageId): Promise<ChainMember[]> {
      return rowsOf(
        await db.raw(
          `with recursive chain (id) as (
             select p.id from packages p where p.id = ?
             union select r.package_id from chain c join rebuild_revisions r on r.supersedes = c.id)
           select p.id, p.supersedes, p.status, p.finalized_at, p.deleted_at from chain c join packages p on p.id = c.id`,
          [oldest],
        ),
      );
    },

    /**
     * Packages that seem to supersede themselves are superseded by none. Only where revisions between two of them are missing there
     * are two with one external id: the newer is the current one.
     */
    async settleCurrent(): Promise<void> {
      const newest = `select q.id from packages q where q.external_id = packages.external_id
          and q.producer = packages.producer and q.status = 'finalized' and q.superseded_by = q.id and q.id > packages.id
          order by q.id desc limit 1`;
      await db.raw(
        `update packages set superseded_by = (${newest})
         where superseded_by = id and status = 'finalized' and exists (${newest})`,
      );
      await db.raw('update packages set superseded_by = null where superseded_by = id');
    },

    /** The next blobs of living packages that no object was found of, by their numbers. */
    async listMissing(after: number, limit: number): Promise<Array<{ no: number; digest: Digest; size: number }>> {
      const rows: Array<{ no: number; digest: Buffer; size: number }> = rowsOf(
        await db.raw(
          `select b.no as no, b.digest as digest,
             (select f.size from package_files f where f.blob_no = b.no order by f.package_no limit 1) as size
           from blobs b where b.no > ? and b.object_no is null and b.digest <> ? and ${isNeeded('b.no')}
           order by b.no limit ?`,
          [after, digestToBytes(EMPTY_DIGEST), limit],
        ),
      );
      return rows.map((row) => ({ ...row, digest: digestFromBytes(row.digest) }));
    },

    /** Blobs of living packages of which no object has right bytes: how many, and the first of them. */
    async listLost(limit: number): Promise<{ count: number; digests: Digest[] }> {
      const needed = db('lost_blobs as x').whereRaw(isNeeded('x.blob_no'));
      const [amount] = await needed.clone().count({ count: '*' });
      const rows: Array<{ digest: Buffer }> = await needed
        .join('blobs as b', 'b.no', 'x.blob_no')
        .orderBy('x.blob_no')
        .limit(limit)
        .select('b.digest as digest');
      return { count: Number(amount?.count), digests: rows.map(({ digest }) => digestFromBytes(digest)) };
    },

    /** The next packages of which no decision says how much storage they took. */
    async listUnsized(after: string, limit: number): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = await db('packages')
        .where('id', '>', after)
        .whereNull('stored_size')
        .orderBy('id')
        .limit(limit)
        .select('id');
      return rows.map(({ id }) => id);
    },

    /** The next packages that storage has a manifest of. */
    async listSealed(after: string, limit: number): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = await db('packages')
        .where('id', '>', after)
        .whereNotNull('finalized_at')
        .orderBy('id')
        .limit(limit)
        .select('id');
      return rows.map(({ id }) => id);
    },
  };
}

export type RebuildTable = ReturnType<typeof rebuildTable>;
