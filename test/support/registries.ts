import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { digestOf } from '../../src/core/digest.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import type { NewObject } from '../../src/registry/object-rows.ts';
import { openRegistry, type Registry } from '../../src/registry/registry.ts';
import type { Collation, Postgres } from './postgres.ts';
import { tempFolder } from './temp.ts';

/** Two registries on one database that nobody else has, as two services have them, and the database itself. */
export type Registries = [one: Registry, two: Registry, db: Knex];

export async function sqliteRegistries(t: ExecutionContext): Promise<Registries> {
  const file = join(await tempFolder(t), 'registry.sqlite');
  // One after the other: a new file is switched to its log by one.
  return opened(
    t,
    [await openRegistry(connectSqlite(file)), await openRegistry(connectSqlite(file))],
    connectSqlite(file),
  );
}

export async function postgresRegistries(
  t: ExecutionContext,
  postgres: Postgres,
  collation?: Collation,
): Promise<Registries> {
  const url = await postgres.createDatabase(collation);
  const both = await Promise.all([openRegistry(connectPostgres(url)), openRegistry(connectPostgres(url))]);
  return opened(t, both, connectPostgres(url));
}

function opened(t: ExecutionContext, [one, two]: [Registry, Registry], db: Knex): Registries {
  t.teardown(async () => {
    await Promise.all([one.close(), two.close(), db.destroy()]);
  });
  return [one, two, db];
}

/** A pack of one byte, which holds whatever it is said to hold. */
export function packRow(id: string): NewObject {
  const facts = { kind: 'pack', version_id: null, digest: digestOf(id), size: 1, stored: null, created_at: 1 } as const;
  return { ...facts, id, key: id };
}
