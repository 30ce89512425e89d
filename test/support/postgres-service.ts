import test from 'ava';
import { POSTGRES } from './postgres.ts';
import { required } from './required.ts';
import { type StartTestService, startTestService } from './service.ts';

/** For transactions that a test keeps open while others work, however long that takes beside other test files. */
export const STALLS = { idle_in_transaction_session_timeout: '600000', lock_timeout: '600000' };

/**
 * Runs a suite of the whole service on PostgreSQL and the local folder: a database for each data folder.
 * @param settings of each session, in the place of the service's own
 */
export async function onPostgres(
  name: string,
  suite: (start: StartTestService) => void,
  settings: Readonly<Record<string, string>> = {},
): Promise<void> {
  const postgres = await required(`The suite ${name} on PostgreSQL`, POSTGRES);
  if (postgres === null) return;
  test.after.always('stop PostgreSQL', () => postgres.close());
  const databases = new Map<string, string>();
  suite(async (options = {}) => {
    const known = options.dataDir === undefined ? undefined : databases.get(options.dataDir);
    const url = known ?? withSettings(await postgres.createMigrated(), settings);
    const env = { ARTIFACT_STORE_DATABASE_URL: url, ...options.env };
    const service = await startTestService({ ...options, env });
    databases.set(service.dataDir, url);
    return service;
  });
}

function withSettings(database: string, settings: Readonly<Record<string, string>>): string {
  const url = new URL(database);
  for (const [name, value] of Object.entries(settings)) url.searchParams.set(name, value);
  return url.href;
}
