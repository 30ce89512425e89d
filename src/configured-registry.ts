import type { Knex } from 'knex';
import { type Config, ConfigError } from './config.ts';
import { isStoreError } from './core/errors.ts';
import { connectPostgres, placeOf } from './registry/connect-postgres.ts';
import { connectSqlite } from './registry/connect-sqlite.ts';
import { NewerSchemaError } from './registry/migrate.ts';
import { openRegistry, type Registry, type RegistryOptions } from './registry/registry.ts';

/** Where the registry is, without the user's password. */
export function describeDatabase({ databaseUrl }: Pick<Config, 'databaseUrl'>): string {
  return databaseUrl === null ? 'SQLite in the data folder' : `PostgreSQL at ${placeOf(databaseUrl)}`;
}

/**
 * The registry that the configuration names: PostgreSQL, or the SQLite file.
 * @throws ConfigError that names the variable, when the database cannot be reached or refuses; NewerSchemaError
 */
export async function openConfiguredRegistry(
  { databaseUrl }: Pick<Config, 'databaseUrl'>,
  sqliteFile: string,
  options: RegistryOptions & { connect?: (file: string) => Knex } = {},
): Promise<Registry> {
  if (databaseUrl === null) return openRegistry((options.connect ?? connectSqlite)(sqliteFile), options);
  try {
    return await openRegistry(connectPostgres(databaseUrl), options);
  } catch (error) {
    if (error instanceof NewerSchemaError) throw error;
    const message = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
    const what = isStoreError(error) ? message : `PostgreSQL at ${placeOf(databaseUrl)} refused: ${message}`;
    throw new ConfigError(`ARTIFACT_STORE_DATABASE_URL: ${what}. Start the database, or correct the variable.`, {
      cause: error,
    });
  }
}
