import { openDataFolder } from '../src/blobs/data-folder.ts';
import { loadConfig } from '../src/config.ts';
import { connectSqlite } from '../src/registry/connect.ts';
import type { SchemaVersion } from '../src/registry/migrate.ts';
import { openRegistry } from '../src/registry/registry.ts';

/** Migrates the registry in the data folder, which it locks meanwhile. @throws ConfigError, DataFolderError, NewerSchemaError */
export async function migrateRegistry(
  env: Record<string, string | undefined>,
  dataDir: string | undefined,
): Promise<SchemaVersion> {
  const config = loadConfig({ ...env, ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }) });
  const folder = await openDataFolder(config.dataDir);
  try {
    const registry = await openRegistry(connectSqlite(folder.registryFile));
    await registry.close();
    return registry.schema;
  } finally {
    await folder.close();
  }
}
