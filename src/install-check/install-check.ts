import { type Config, ConfigError, loadConfig } from '../config.ts';
import { describeDatabase } from '../configured-registry.ts';
import { isLoopback } from '../http/guard.ts';
import { BOTH_HALVES, publicUrl } from '../usecases/diagnose.ts';
import { attempt, type Check, failure, ok, warning } from './check.ts';
import { checkDataFolder, type DataFolderChecks } from './data-folder.ts';
import { checkDatabase, type DatabaseChecks } from './database.ts';
import { type Machine, machineChecks, thisMachine } from './machine.ts';
import { checkAuthority, checkBucket, checkIssuers, checkPort } from './network.ts';
import { settingsChecks } from './settings.ts';

type Env = Record<string, string | undefined>;

/**
 * Whether this machine, with these settings, can run the service: the machine first, then the settings, then all that they name. What is
 * written on the way is removed again, and no registry is migrated. Never throws.
 */
export async function installCheck(env: Env, machine?: Machine): Promise<Check[]> {
  const checks = machineChecks(machine ?? (await thisMachine()));
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const advice = 'Correct that first: nothing else can be checked before.';
    return [...checks, failure('settings', error.message, advice)];
  }
  return [...checks, ...(await configChecks(config, env))];
}

async function configChecks(config: Config, env: Env): Promise<Check[]> {
  const { databaseUrl, s3, timeStamps, identities } = config;
  let folder: DataFolderChecks = { checks: [], made: false, heldBy: null };
  let database: DatabaseChecks = { checks: [], hasTokens: null };
  const [settings, inFolder, inDatabase, bucket, authority, issuers] = await Promise.all([
    attempt('settings', () => settingsChecks(config, env), 'Correct what it names.'),
    attempt(
      'data_folder',
      async () => {
        folder = await checkDataFolder(config.dataDir, s3 === null || databaseUrl === null);
        return folder.checks;
      },
      'Name a folder that this user may use: ARTIFACT_STORE_DATA_DIR.',
    ),
    databaseUrl === null
      ? [ok('database', `The registry is ${describeDatabase(config)}.`)]
      : attempt(
          'database',
          async () => {
            database = await checkDatabase(databaseUrl);
            return database.checks;
          },
          'Start the database, or correct ARTIFACT_STORE_DATABASE_URL: docs/postgresql.md.',
        ),
    s3 === null
      ? [ok('storage', 'Blobs are kept in the data folder.')]
      : attempt(
          'storage',
          () => checkBucket(s3),
          'Correct the ARTIFACT_STORE_S3_… variables: docs/storage-ceph-s3.md.',
        ),
    timeStamps === null ? [] : checkAuthority(timeStamps),
    identities === null ? [] : checkIssuers(identities),
  ]);
  return [
    ...settings,
    ...inFolder,
    ...inDatabase,
    ...bucket,
    ...(s3 !== null && databaseUrl === null ? [BOTH_HALVES] : []),
    ...(await checkPort(config, folder.heldBy)),
    token(config, { made: folder.made, hasTokens: database.hasTokens }),
    publicUrl(config.publicUrl ?? ownUrl(config), { reachable: !isLoopback(config.host) }),
    ...authority,
    ...issuers,
  ];
}

function ownUrl({ host, port }: Config): string {
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
}

/** As configured-access.ts decides it, as far as it can be known without opening the registry. */
function token(config: Config, { made, hasTokens }: { made: boolean; hasTokens: boolean | null }): Check {
  const { host, adminToken, identities } = config;
  const name = 'token';
  if (adminToken !== null) return ok(name, 'The admin token is set.');
  if (hasTokens === true || identities !== null) return ok(name, 'Requests need a token.');
  if (isLoopback(host)) {
    const says = `There is no admin token: as long as no other was made, everybody on this machine may do everything, and nobody else can connect.`;
    return { name, level: 'note', says, advice: 'Set ARTIFACT_STORE_ADMIN_TOKEN if others use this machine.' };
  }
  const advice =
    'Set ARTIFACT_STORE_ADMIN_TOKEN (or …_FILE), or make a token with `artifact-store token create --local`.';
  const says = `Other machines reach ${host}, and there is no admin token`;
  // A registry in SQLite is not opened: it may have tokens.
  if (hasTokens === null && made)
    return warning(name, `${says}: the service starts only if another token was made.`, advice);
  return failure(name, `${says}: the service does not start so.`, advice);
}
