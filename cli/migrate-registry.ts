import { openDataFolder } from '../src/blobs/data-folder.ts';
import { loadConfig } from '../src/config.ts';
import { openConfiguredRegistry } from '../src/configured-registry.ts';
import type { SchemaVersion } from '../src/registry/migrate.ts';

/** Migrates the registry that the environment names; the data folder is locked meanwhile. @throws ConfigError, DataFolderError, NewerSchemaError */
export async function migrateRegistry(
  env: Record<string, string | undefined>,
  dataDir: string | undefined,
): Promise<SchemaVersion> {
  const config = loadConfig({ ...env, ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }) });
  // A registry in PostgreSQL is there before any data folder.
  const folder = await openDataFolder(config.dataDir, undefined, { make: config.databaseUrl !== null });
  try {
    const registry = await openConfiguredRegistry(config, folder.registryFile);
    await registry.close();
    return registry.schema;
  } finally {
    await folder.close();
  }
}
