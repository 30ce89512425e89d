import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config.ts';
import { type Service, type ServiceOverrides, startService } from '../../src/server.ts';
import { migratedSqlite } from './migrated-sqlite.ts';

export interface TestService extends Service {
  dataDir: string;
  /** What it is configured by: for whoever works on the same registry and store when it has stopped. */
  env: Record<string, string>;
  /** Moves the registry's time forward. */
  sleepDays(days: number): void;
  /** Stops the service and removes its data folder. */
  dispose(): Promise<void>;
}

export interface TestServiceOptions extends ServiceOverrides {
  env?: Record<string, string>;
  /** Kept by `dispose` when given. */
  dataDir?: string;
}

/** What a suite of the service is given: it starts on whatever registry and blob store the suite runs on. */
export type StartTestService = (options?: TestServiceOptions) => Promise<TestService>;

/** Longer than any test: a process for each check of each service would be too many. */
const NEVER_MS = 3_600_000;
/** A commit is answered when it has ended, however busy the machine is. */
const COMMIT_PATIENCE_MS = 60_000;

/** The real service, in this process, on a free port, with a data folder of its own. */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'artifact-store-test-')));
  let shift = 0;
  const env = {
    ARTIFACT_STORE_PORT: '0',
    ARTIFACT_STORE_DATA_DIR: dataDir,
    ARTIFACT_STORE_LOG_LEVEL: 'silent',
    ...options.env,
  };
  const config = loadConfig(env);
  const own = {
    timeShift: () => shift,
    registryCheckDelay: NEVER_MS,
    commitPatience: COMMIT_PATIENCE_MS,
    logInterval: null,
    connect: await migratedSqlite(),
  };
  const service = await startService(config, { ...own, ...options });
  await service.settled;
  return {
    ...service,
    dataDir,
    env,
    sleepDays: (days) => {
      shift += days * 86_400_000;
    },
    dispose: async () => {
      await service.stop();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
