import type { Knex } from 'knex';
import type { Usage } from '../core/quotas.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import type { Reads } from './reads.ts';

/** What is added to a producer's use, or given back. */
export type UsageChange = Partial<Omit<Usage, 'producer'>>;

type Row = { producer: string } & Record<keyof Omit<Usage, 'producer'>, number | string>;

const fromRow = ({ producer, used_bytes, reserved_bytes, open_packages }: Row): Usage => ({
  producer,
  used_bytes: Number(used_bytes),
  reserved_bytes: Number(reserved_bytes),
  open_packages: Number(open_packages),
});

/** What every producer has by its packages: it can be counted anew from them at any time. */
const COUNTED = `select p.producer as producer,
    cast(sum(case when p.status = 'finalized' then p.total_size else 0 end) - coalesce((
      select sum(f.size) from packages q join deleted_files d on d.package_no = q.no
      join package_files f on f.package_no = d.package_no and f.path = d.path
      where q.producer = p.producer and q.status = 'finalized' and q.deleted_file_count > 0), 0) as bigint) as used_bytes,
    cast(sum(case when p.status in ('created', 'uploading') then p.total_size else 0 end) as bigint) as reserved_bytes,
    count(case when p.status in ('created', 'uploading') then 1 end) as open_packages
  from packages p group by p.producer`;

/**
 * What producers use of their quotas. A change goes with the change of the package that it is about, in one transaction: what is
 * rolled back gives its share back by itself, whoever dies.
 */
export function usageTable(db: Knex) {
  return {
    /**
     * Takes the lock of the producer's row until the transaction ends, so it comes late in it: after the locks of packages and blobs,
     * and nobody who has it waits for one of those. @returns what the producer has then
     */
    async change(producer: string, change: UsageChange): Promise<Usage> {
      const { used_bytes = 0, reserved_bytes = 0, open_packages = 0 } = change;
      const plus = (column: string) => `${column} = producer_usage.${column} + excluded.${column}`;
      const columns = ['used_bytes', 'reserved_bytes', 'open_packages'];
      const [row] = rowsOf<Row>(
        await db.raw(
          `insert into producer_usage (producer, ${columns.join(', ')}) values (?, ?, ?, ?)
           on conflict (producer) do update set ${columns.map(plus).join(', ')}
           returning producer, ${columns.join(', ')}`,
          [producer, used_bytes, reserved_bytes, open_packages],
        ),
      );
      return fromRow(row as Row);
    },

    /** A producer that never had a package has nothing. */
    async get(producer: string): Promise<Usage> {
      const row: Row | undefined = await db('producer_usage').where({ producer }).first();
      return row ? fromRow(row) : { producer, used_bytes: 0, reserved_bytes: 0, open_packages: 0 };
    },

    /** In the order of the names' bytes. */
    async list(reads: Reads, after: string | null, limit: number): Promise<Usage[]> {
      const query = db('producer_usage').orderBy('producer').limit(limit);
      if (after !== null) query.where('producer', '>', after);
      if (!('all' in reads)) query.whereIn('producer', [...reads.producers]);
      return ((await query) as Row[]).map(fromRow);
    },

    /** By the packages themselves: it costs more the more there are. */
    async counted(): Promise<Usage[]> {
      return rowsOf<Row>(await db.raw(`${COUNTED} order by 1`)).map(fromRow);
    },

    /** Counts all anew. For a registry in which nobody else writes: a rebuild. */
    async recount(): Promise<void> {
      // Whoever adds meanwhile waits, and then adds to what was counted.
      if (isPostgres(db)) await db.raw('lock table producer_usage in exclusive mode');
      await db('producer_usage').delete();
      await db.raw(`insert into producer_usage (producer, used_bytes, reserved_bytes, open_packages) ${COUNTED}`);
    },
  };
}

export type UsageTable = ReturnType<typeof usageTable>;
