import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import type { PackageStatus } from '../core/package-state.ts';
import { deletedAt } from './deleted-files.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { isProven } from './file-proofs.ts';
import { bestObject, isLost } from './object-states.ts';
import type { Reads } from './reads.ts';

/** By what files are looked for: one of the three. */
export type Sought =
  | { digest: Digest }
  | { name: string }
  /** Names that begin so, and are below `end` by their bytes. */
  | { from: string; end: string };

/** A file that was found: whose it is, and what is known of its bytes. Times in ms. */
export interface FoundRecord {
  package_id: PackageId;
  package_name: string;
  producer: string;
  subject: string | null;
  status: PackageStatus;
  created_at: number;
  finalized_at: number | null;
  package_deleted_at: number | null;
  path: LogicalPath;
  digest: Digest;
  size: number;
  media_type: string | null;
  proven: boolean;
  /** No object holds its bytes any more. */
  lost: boolean;
  /** It was removed from its finalized package. */
  deleted_at: number | null;
  /** Whether there is an object that its bytes can be read from; null: it is not proven. */
  held: boolean | null;
  /** Of the object that its bytes are read from: when it was last read whole and all of it was right. */
  good_at: number | null;
}

/** Where a page of what was found ended. */
export interface FoundPlace {
  id: PackageId;
  path: LogicalPath;
}

type Row = Omit<FoundRecord, 'digest' | 'proven' | 'lost' | 'held'> & {
  digest: Buffer;
  proven: boolean | number;
  lost: boolean | number;
  object_no: number | null;
  no: number;
};

/** No blob has it: of a digest that nobody has, as many places are looked at as of another. */
const NO_BLOB = -1;

export function findFiles(db: Knex) {
  const postgres = isPostgres(db);
  /** What stands behind the last slash, in the words of the index. */
  const nameOf = (path: string): string =>
    postgres
      ? `substring(${path} from '[^/]*$')`
      : `substr(${path}, length(rtrim(${path}, replace(${path}, '/', ''))) + 1)`;

  function conditionOf(sought: Sought): { sql: string; values: Array<string | Buffer> } {
    if ('digest' in sought) {
      const sql = `f.blob_no = coalesce((select no from blobs where digest = ?), ${NO_BLOB})`;
      return { sql, values: [digestToBytes(sought.digest)] };
    }
    if ('name' in sought) return { sql: `${nameOf('f.path')} = ?`, values: [sought.name] };
    return { sql: `${nameOf('f.path')} >= ? and ${nameOf('f.path')} < ?`, values: [sought.from, sought.end] };
  }

  /** Of all packages: in the order of the index, which begins with what is sought. */
  function ofAll(sought: Sought, after: FoundPlace | null, limit: number): Knex.Raw {
    const { sql, values } = conditionOf(sought);
    const byName = 'from' in sought;
    const order = `${byName ? `${nameOf('f.path')}, ` : ''}f.package_no, f.path`;
    const place = `${byName ? '?, ' : ''}(select no from packages where id = ?), ?`;
    const places = after === null ? [] : [...(byName ? [nameOfPath(after.path)] : []), after.id, after.path];
    return db.raw(
      `select f.* from package_files f where ${sql} ${after === null ? '' : `and (${order}) > (${place})`}
       order by ${order} limit ?`,
      [...values, ...places, limit],
    );
  }

  /**
   * Of some producers: by their packages, with a look into the index for each. What it takes depends on what they have, and on nothing
   * that others have.
   */
  function ofProducers(
    producers: readonly string[],
    sought: Sought,
    after: FoundPlace | null,
    limit: number,
  ): Knex.Raw {
    const { sql, values } = conditionOf(sought);
    // SQLite would rather read all files of a package.
    const index = 'digest' in sought ? 'package_files_blob' : 'package_files_name';
    const theirs = `p.producer in (${producers.map(() => '?').join(', ') || 'null'})`;
    const files = postgres
      ? `cross join lateral (select f.* from package_files f where f.package_no = p.no and ${sql} offset 0) f where true`
      : `cross join package_files f indexed by ${index} where f.package_no = p.no and ${sql}`;
    const packages = `(select p.no, p.id from packages p where ${theirs} ${after === null ? '' : 'and p.id >= ?'}) p`;
    return db.raw(
      `select f.* from ${packages} ${files} ${after === null ? '' : 'and (p.id, f.path) > (?, ?)'}
       order by p.id, f.path limit ?`,
      [...producers, ...(after ? [after.id] : []), ...values, ...(after ? [after.id, after.path] : []), limit],
    );
  }

  return {
    /**
     * Files of packages that may be read, whatever became of them, the oldest package first; of a range of names, by the name before
     * that; of some producers none can be found by a range. @param after what is beyond this one; null: from the first on
     */
    async find(reads: Reads, sought: Sought, after: FoundPlace | null, limit: number): Promise<FoundRecord[]> {
      const found = 'all' in reads ? ofAll(sought, after, limit) : ofProducers(reads.producers, sought, after, limit);
      const order = 'all' in reads ? `${'from' in sought ? `${nameOf('h.path')}, ` : ''}h.no` : 'h.package_id';
      const rows: Row[] = rowsOf(
        await db.raw(
          `with found as materialized (
             select p.no as no, p.id as package_id, p.name as package_name, p.producer as producer, p.subject as subject, p.status as status,
               p.created_at as created_at, p.finalized_at as finalized_at, p.deleted_at as package_deleted_at,
               s.path as path, b.digest as digest, s.size as size, s.media_type as media_type, ${isProven('s')} as proven,
               ${isLost('s.blob_no')} as lost,
               ${deletedAt('s')} as deleted_at, case when ${isProven('s')} then ${bestObject('b')} end as object_no
             from (?) s cross join packages p cross join blobs b where p.no = s.package_no and b.no = s.blob_no)
           select h.*, c.good_at as good_at
           from found h left join object_checks c on c.object_no = h.object_no order by ${order}, h.path`,
          [found],
        ),
      );
      return rows.map(({ no: _, digest, proven, lost, object_no, ...row }) => ({
        ...row,
        digest: digestFromBytes(digest),
        proven: Boolean(proven),
        lost: Boolean(lost),
        held: proven ? object_no !== null : null,
      }));
    },
  };
}

function nameOfPath(path: LogicalPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export type FindFiles = ReturnType<typeof findFiles>;
