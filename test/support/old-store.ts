import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { Knex } from 'knex';
import { MIGRATIONS } from '../../migrations/index.ts';
import type { AuditEvent, Package } from '../../src/api/types.ts';
import { isPostgres } from '../../src/registry/dialect.ts';
import { migrate } from '../../src/registry/migrate.ts';
import type { OldTree } from './old-trees.ts';

type Value = string | number | boolean | null | { hex: string };
type Row = Record<string, Value>;

/** What version 0.1.0 (commit 48a3d16: migration 0001 alone, plain packs) left on the disk. record-old-store.ts made it. */
export interface OldStore {
  /** What it answered for each package. */
  packages: Record<OldTree | 'failed', Package>;
  audit: AuditEvent[];
  /** Every row of its registry, in an order that foreign keys allow. */
  tables: Record<string, Row[]>;
  /** Its data folder without the registry: path → a character for each byte. */
  files: Record<string, string>;
}

export const OLD_STORE = new URL('../../fixtures/store-0.1.0.json.gz', import.meta.url);

export async function readOldStore(): Promise<OldStore> {
  return JSON.parse(gunzipSync(await readFile(OLD_STORE)).toString());
}

/** Fills an empty database as 0.1.0 did. */
export async function writeOldRegistry(db: Knex, { tables }: OldStore): Promise<void> {
  await migrate(db, MIGRATIONS.slice(0, 1));
  for (const [table, rows] of Object.entries(tables)) {
    const columns = await db(table).columnInfo();
    const convert = (column: string, value: Value): unknown => {
      if (typeof value === 'object' && value !== null) return Buffer.from(value.hex, 'hex');
      return columns[column]?.type === 'boolean' && value !== null ? Boolean(value) : value;
    };
    for (const row of rows) {
      await db(table).insert(
        Object.fromEntries(Object.entries(row).map(([column, value]) => [column, convert(column, value)])),
      );
    }
    if (isPostgres(db) && 'seq' in columns) {
      await db.raw(`select setval(pg_get_serial_sequence(?, 'seq'), (select max(seq) from ??))`, [table, table]);
    }
  }
}
