import type { Knex } from 'knex';
import { type Digest, digestHex } from '../core/digest.ts';
import { isPostgres, refuseNul } from './dialect.ts';

export type ColumnType = 'text' | 'bytes' | 'integer' | 'boolean';
/** Bytes as they are, or as hex digits. */
export type Cell = string | number | boolean | null | Uint8Array;

/**
 * Any number of rows as one bound parameter: `select … from <recordset> r`. Both dialects read it as JSON, so that a
 * batch is one statement of constant text, whatever its size, and no limit on the number of parameters can be hit.
 * Bytes travel as hex.
 *
 * Joins with a recordset are cross joins with a where: SQLite then reads the recordset first and looks the rest up by
 * index; left to itself it may scan the recordset once for every row of the table. PostgreSQL plans a join by what it knows
 * of the package, which of a new one is nothing, and then reads all of its files for each row. So a package's files are looked
 * up by a subquery for each row, in an order that only the right index has.
 */
export function recordset(db: Knex, columns: Record<string, ColumnType>, rows: readonly Cell[][]): Knex.Raw {
  const postgres = isPostgres(db);
  const fields = Object.entries(columns).map(([name, type], index) => {
    const value = postgres ? `(value->>${index})` : `json_extract(value, '$[${index}]')`;
    return `${postgres ? fromPostgresText(value, type) : fromSqliteJson(value, type)} as ${name}`;
  });
  const source = postgres ? 'json_array_elements(?::json)' : 'json_each(?)';
  for (const row of rows) refuseNul(row);
  const cells = rows.map((row) => (row.some(isBytes) ? row.map((cell) => (isBytes(cell) ? hex(cell) : cell)) : row));
  return db.raw(`(select ${fields.join(', ')} from ${source})`, [JSON.stringify(cells)]);
}

/** Ids as rows of one column, `id`. */
export function idRows(db: Knex, ids: readonly string[]): Knex.Raw {
  return recordset(
    db,
    { id: 'text' },
    ids.map((id) => [id]),
  );
}

/** Digests as rows of one column, `digest`. */
export function digestRows(db: Knex, digests: readonly Digest[]): Knex.Raw {
  return recordset(
    db,
    { digest: 'bytes' },
    digests.map((digest) => [digestHex(digest)]),
  );
}

/** Batches are written in one order, whatever order they come in: two that meet then wait instead of deadlocking. */
export function byDigest<Item extends { digest: Digest }>(items: readonly Item[]): Item[] {
  return items.toSorted((a, b) => (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0));
}

function isBytes(cell: Cell): cell is Uint8Array {
  return cell instanceof Uint8Array;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function fromPostgresText(value: string, type: ColumnType): string {
  if (type === 'bytes') return `decode(${value}, 'hex')`;
  if (type === 'integer') return `${value}::bigint`;
  if (type === 'boolean') return `${value}::boolean`;
  return value;
}

function fromSqliteJson(value: string, type: ColumnType): string {
  return type === 'bytes' ? `unhex(${value})` : value;
}
