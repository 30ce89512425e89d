import { createHmac, randomUUID } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import type { Knex } from 'knex';
import { background } from './background.ts';
import {
  checkRegistry,
  endBackground,
  FIXITY_LOOK_MS,
  LOCKS_INTERVAL_MS,
  LOG_INTERVAL_MS,
  scheduleFixity,
  scheduleLocks,
  scheduleLog,
  scheduleSweeps,
  scheduleTimeStamps,
  scheduleWebhooks,
  startBackground,
  TIME_STAMP_INTERVAL_MS,
  TIME_STAMP_LOOK_MS,
  WEBHOOKS_LOOK_MS,
} from './background-work.ts';
import { openCheckThread } from './blobs/check-thread.ts';
import { type DataFolder, type OpenDataFolderOptions, openDataFolder } from './blobs/data-folder.ts';
import { type FileLayer, realFileLayer } from './blobs/file-layer.ts';
import { freeBytes } from './blobs/fs-health.ts';
import { ownedStore } from './blobs/owned-store.ts';
import type { probeBackend } from './blobs/s3/probe.ts';
import type { ProbeIntervals } from './blobs/s3/probing.ts';
import { downloadRequest } from './blobs/signed-urls.ts';
import { type Config, ConfigError } from './config.ts';
import { configuredAccess } from './configured-access.ts';
import { openConfiguredBlobs } from './configured-blobs.ts';
import { configuredClasses } from './configured-classes.ts';
import { configuredIdentities } from './configured-identities.ts';
import { configuredKeys } from './configured-keys.ts';
import { configuredLimits } from './configured-limits.ts';
import { describeDatabase, openConfiguredRegistry } from './configured-registry.ts';
import { evidenceTokens } from './core/evidence-token.ts';
import type { Limits } from './core/limits.ts';
import type { Quotas } from './core/quotas.ts';
import type { RetentionClasses } from './core/retention.ts';
import { sealedSessions } from './core/sealed-session.ts';
import { webhookSecret } from './core/webhook-signature.ts';
import { createApp } from './http/app.ts';
import type { Bounds } from './http/bounds.ts';
import { cursorCodec } from './http/cursor.ts';
import { isLoopback } from './http/guard.ts';
import { openMetrics } from './http/metrics.ts';
import { errorPages } from './http/problem.ts';
import type { HttpServices } from './http/route.ts';
import { ROUTES } from './http/routes/index.ts';
import { type ServeOptions, serve, stopServing, urlOf } from './http/serve.ts';
import type { Totals } from './http/totals-gauges.ts';
import { archivesAtOnce } from './http/transfers.ts';
import { openLog } from './log.ts';
import type { IssuerTimes } from './oidc/issuer-keys.ts';
import { measuredRegistry } from './registry/measured-registry.ts';
import type { Registry } from './registry/registry.ts';
import { storeIdentification } from './store-identification.ts';
import { timeStampAuthority } from './time-stamp-authority.ts';
import { uiPages } from './ui/routes.ts';
import { auditLog } from './usecases/audit-log.ts';
import { COMMIT_PATIENCE_MS } from './usecases/commit-upload.ts';
import { crcTables } from './usecases/crc-tables.ts';
import { fixityCoverage } from './usecases/fixity.ts';
import { identifyStore } from './usecases/identify-store.ts';
import { assertRebuilt } from './usecases/rebuild.ts';
import type { Log } from './usecases/services.ts';
import { signingKey } from './usecases/signing-keys.ts';
import { webhookTotals } from './usecases/webhook-totals.ts';
import { VERSION } from './version.ts';
import { type SenderOptions, webhookSender } from './webhook-sender.ts';

/** More are not counted. */
const DAMAGED_COUNTED = 100_000;
const BEHIND_COUNTED = 100_000;
/** How long a start waits for a bucket to say whose it is. */
const IDENTIFICATION_PATIENCE_MS = 3_000;
/** What tests put in the place of the real thing, and may change. */
export interface ServiceOverrides {
  files?: FileLayer;
  limits?: Partial<Limits>;
  bounds?: Partial<Bounds>;
  quotas?: Partial<Quotas>;
  /** Opens the SQLite file. */
  connect?: (file: string) => Knex;
  /** Milliseconds to add to the registry's time. */
  timeShift?: () => number;
  log?: Log;
  /** How long after its start the service checks the SQLite file, ms. */
  registryCheckDelay?: number;
  /** How often the bucket is probed, and by what. */
  probeIntervals?: Partial<ProbeIntervals>;
  probe?: typeof probeBackend;
  /** How long a commit waits for its verification before it answers `verifying`, ms. */
  commitPatience?: number;
  /** How often it is looked whether an object is to be read again, ms. */
  fixityLook?: number;
  /** How often storage is told of locks that it was not told of, ms. */
  locksInterval?: number;
  /** How often new audit events are brought into the log, ms; null: only when somebody asks for a checkpoint or a proof. */
  logInterval?: number | null;
  /** How often it is looked whether a checkpoint is to be stamped, and how long after the last stamp at the earliest, ms. */
  timeStamps?: { look: number; interval: number };
  /** How often it is looked whether there is something to send to webhooks, and how long a receiver may take, ms; how names resolve. */
  webhooks?: { look?: number | null } & Partial<Pick<SenderOptions, 'patience' | 'lookup'>>;
  /** How keys of issuers are asked for. */
  issuerTimes?: Partial<IssuerTimes>;
}

export interface Service {
  url: string;
  services: HttpServices;
  /** Settled when the start-up work in the background (the probe of a bucket, recovery) has ended, or waits for storage to answer. */
  settled: Promise<void>;
  /** Settled, with the reason, when the service has stopped by itself. */
  failed: Promise<Error>;
  /** Lets requests under way end, then closes everything. */
  stop(): Promise<void>;
}

/**
 * The composition root: config → registry and blob store → app; the only place that names concrete classes.
 * @param folderOptions whether a data folder may be made
 */
export async function startService(
  config: Config,
  overrides: ServiceOverrides = {},
  folderOptions: OpenDataFolderOptions = {},
): Promise<Service> {
  const log = overrides.log ?? openLog(config.logLevel);
  const classes = await configuredClasses(config);
  const identities = await configuredIdentities(config, log, overrides.issuerTimes);
  const files = overrides.files ?? realFileLayer;
  const all = await configuredLimits(config);
  const bounds = { ...all.bounds, ...overrides.bounds };
  const closers: Array<() => Promise<void>> = [];
  const stop = once(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  try {
    const folder = await openDataFolder(config.dataDir, files, folderOptions);
    closers.push(() => folder.close());
    const keys = await configuredKeys(config, folder);
    const key = config.signingKey === null ? folder.signingKey : Buffer.from(config.signingKey);
    const unmeasured = await openConfiguredRegistry(config, folder.registryFile, overrides);
    closers.push(() => unmeasured.close());
    // What a scrape asks is not among what it tells of.
    const metrics = openMetrics(() => countAll(unmeasured, config));
    closers.push(async () => metrics.close());
    const registry = measuredRegistry(unmeasured, metrics.registry);
    const beside = background(log, metrics.work.worked);
    await assertRebuilt(registry, { registry: describeDatabase(config) });
    await prepareRegistry(registry, classes);
    const { authentication, ...access } = await configuredAccess(config, registry, log, identities);
    closers.push(access.close);
    let url = '';
    const publicUrl = (): string => config.publicUrl ?? url;
    const urlKey = derive(key, 'url');
    const checker = openCheckThread();
    closers.push(() => checker.close());
    const { spool, signedBytes, ...store } = await openConfiguredBlobs(config.s3, {
      folder,
      files,
      checker,
      registry,
      signingKey: urlKey,
      publicUrl,
      log,
      meter: metrics.storage,
      probeIntervals: overrides.probeIntervals,
      probe: overrides.probe,
    });
    const closeStore = once(store.close);
    closers.push(closeStore);
    const places = { registry: describeDatabase(config), store: store.place };
    const identification = storeIdentification(() => identifyStore({ registry, blobs: store.blobs }, places), log);
    await identification.begin(store.local ? null : IDENTIFICATION_PATIENCE_MS);
    if (store.local) identification.assertOwned();
    await store.cleanUp();
    const blobs = ownedStore(store.blobs, identification.assertOwned);

    const { look = WEBHOOKS_LOOK_MS, ...sending } = overrides.webhooks ?? {};
    const webhookKey = derive(key, 'webhook');
    const sender = webhookSender({ allowed: config.webhookAllow, ...sending });
    closers.push(async () => sender.close());

    const running: HttpServices['running'] = new Map();
    const services: HttpServices = {
      registry,
      blobs,
      spool,
      checker,
      limits: { ...all.limits, ...overrides.limits },
      quotas: { ...all.quotas, ...overrides.quotas },
      bounds,
      log,
      meters: metrics.work,
      keys,
      instance: randomUUID(),
      running,
      commitPatienceMs: overrides.commitPatience ?? COMMIT_PATIENCE_MS,
      underWay: beside.underWay,
      storeId: identification.id,
      sweepGraceMs: config.sweepGrace,
      fixity: { period: config.fixityPeriod, rate: config.fixityRate },
      auditLog: auditLog({ registry, blobs, log, storeId: identification.id, key: () => signingKey(services) }),
      webhooks: { ...sender, secretOf: (id, no) => webhookSecret(webhookKey, id, no) },
      busy: () => running.size > 0 || metrics.underWay() > 0,
      inBackground: (name, id, work) => void beside.run(name, work, id),
      publicUrl,
      signRange: (download) => downloadRequest(signedBytes.signer, publicUrl(), download),
      cursors: cursorCodec(derive(key, 'cursor')),
      evidence: evidenceTokens(derive(key, 'evidence')),
      version: VERSION,
      signedBytes,
      crcTables: crcTables(),
      archivesUnderWay: archivesAtOnce(bounds.archives),
      surroundings: {
        dataDir: folder.dir,
        database: describeDatabase(config),
        hasToken: async () => !(await authentication.isOpen()),
        reachable: !isLoopback(config.host),
        freeBytes: () => freeBytes(files, folder.dir),
      },
    };
    closers.push(() => endBackground(beside, services, closeStore));

    const documented = errorPages(config.publicUrl);
    const app = createApp({
      services,
      errorPages: documented,
      routes: ROUTES,
      authentication,
      corsOrigins: config.corsOrigins,
      metrics,
      log,
      pages: uiPages({ services, authentication, sealed: sealedSessions(derive(key, 'session')) }),
    });
    const server = await listen(app.callback(), { ...config, bounds, log, pages: documented });
    closers.push(() => stopServing(server));
    url = urlOf(server, config.host);
    const { ended, settled } = startBackground(beside, services, identification, store.afterStart);
    if (config.sweepInterval !== null) scheduleSweeps(beside, services, config.sweepInterval, ended);
    scheduleLocks(beside, services, overrides.locksInterval ?? LOCKS_INTERVAL_MS, ended);
    const { logInterval = LOG_INTERVAL_MS } = overrides;
    if (logInterval !== null) scheduleLog(beside, services, logInterval, ended);
    if (config.timeStamps !== null) {
      const { url: authority, proxies } = config.timeStamps;
      const { timeStamps = { look: TIME_STAMP_LOOK_MS, interval: TIME_STAMP_INTERVAL_MS } } = overrides;
      scheduleTimeStamps(beside, services, timeStamps, timeStampAuthority(authority, proxies), ended);
    }
    if (look !== null) scheduleWebhooks(beside, services, look, ended);
    scheduleFixity(beside, services, overrides.fixityLook ?? FIXITY_LOOK_MS, ended);
    await announce(folder, publicUrl(), await authentication.isOpen(), log);
    if (config.databaseUrl === null) {
      beside.run('registry_check', (signal) =>
        checkRegistry(registry, folder.registryFile, log, signal, overrides.registryCheckDelay),
      );
    }
    const failed = Promise.race<Error>([folder.lost, identification.refused]).then(async (error) => {
      log.error({ err: error }, 'the service stops');
      await stop().catch((err) => log.error({ err }, 'the stop failed'));
      return error;
    });
    return { url: publicUrl(), services, settled, failed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** However often it is called, also while it runs. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => {
    done ??= work();
    return done;
  };
}

async function prepareRegistry(registry: Registry, classes: RetentionClasses): Promise<void> {
  await registry.transaction(async (tables) => {
    await tables.retention.syncClasses(classes);
    // The data folder is locked by this process, so whoever held a lease is gone.
    if (registry.kind === 'sqlite') {
      await tables.uploads.endLeases(await tables.now());
      await tables.webhooks.endLeases();
    }
  });
}

/** For the gauges. */
async function countAll(registry: Registry, { fixityPeriod, s3 }: Config): Promise<Totals> {
  const { read } = registry;
  const totals = await read.blobs.totals();
  return {
    ...totals,
    packages: await read.packages.totals(),
    uploads: await read.uploads.countUnended(),
    fixity: await fixityCoverage(registry, totals, fixityPeriod),
    unlocked: (s3?.objectLock ?? 'off') !== 'off' ? await read.locks.countBehind(BEHIND_COUNTED) : 0,
    webhooks: await webhookTotals(registry),
    damaged: await read.damaged.count(DAMAGED_COUNTED),
    swept_at: await read.sweeps.lastDone(),
  };
}

async function listen(handle: RequestListener, options: ServeOptions): Promise<Server> {
  const { host, port } = options;
  try {
    return await serve(handle, options);
  } catch (error) {
    throw new ConfigError(
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        ? `Port ${port} is in use on ${host}: set ARTIFACT_STORE_PORT to another one, or to 0 for any free one.`
        : `Cannot listen on ${host}:${port} (ARTIFACT_STORE_HOST, ARTIFACT_STORE_PORT): ${(error as Error).message}.`,
    );
  }
}

async function announce(folder: DataFolder, url: string, isOpen: boolean, log: Log): Promise<void> {
  await folder.announce(url);
  log.info({ url, version: VERSION, data_dir: folder.dir }, `artifact-store listens on ${url}`);
  if (isOpen) {
    log.warn(
      {},
      'no ARTIFACT_STORE_ADMIN_TOKEN, and no other token: everybody on this machine has full access, and the service listens on loopback only',
    );
  }
}

function derive(key: Uint8Array, purpose: string): Buffer {
  return createHmac('sha256', key).update(purpose).digest();
}
