import type { Knex } from 'knex';

/**
 * Files by their names, wherever they are, and links that show a package to whoever has them. The name is what stands behind the last
 * slash of a path: an index of an expression, so that no row changes, and nobody who writes files has to know of it.
 */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.dialect === 'postgresql';
  const text = postgres ? 'text collate "C"' : 'text';
  // The same words as in src/registry/find-files.ts: an index of an expression serves no other.
  const name = postgres
    ? `(substring(path from '[^/]*$'))`
    : `substr(path, length(rtrim(path, replace(path, '/', ''))) + 1)`;
  await db.raw(`create index package_files_name on package_files (${name}, package_no)`);
  if (postgres) await db.raw('analyze package_files');

  await db.schema.createTable('shares', (table) => {
    table.specificType('id', text).primary();
    table.binary('token_hash').notNullable().comment('SHA-256 of the token, 32 bytes');
    table.specificType('package_id', text).notNullable().references('packages.id');
    table.specificType('path', text).comment('of the one file that it shows; null: all of them');
    table.specificType('note', text);
    table.specificType('created_by', text).notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('expires_at').notNullable();
    table.specificType('revoked_by', text);
    table.bigInteger('revoked_at');
    table.index(['package_id', 'id']);
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
