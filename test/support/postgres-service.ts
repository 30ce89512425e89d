import test from 'ava';
import { POSTGRES } from './postgres.ts';
import { required } from './required.ts';
import { type StartTestService, startTestService } from './service.ts';

/** Runs a suite of the whole service on PostgreSQL and the local folder: a database for each data folder. */
export async function onPostgres(name: string, suite: (start: StartTestService) => void): Promise<void> {
  const postgres = await required(`The suite ${name} on PostgreSQL`, POSTGRES);
  if (postgres === null) return;
  test.after.always('stop PostgreSQL', () => postgres.close());
  const databases = new Map<string, string>();
  suite(async (options = {}) => {
    const known = options.dataDir === undefined ? undefined : databases.get(options.dataDir);
    const url = known ?? (await postgres.createMigrated());
    const env = { ARTIFACT_STORE_DATABASE_URL: url, ...options.env };
    const service = await startTestService({ ...options, env });
    databases.set(service.dataDir, url);
    return service;
  });
}
