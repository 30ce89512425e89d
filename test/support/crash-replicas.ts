import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { Client as Witness } from 'minio';
import { type Digest, digestFromBytes } from '../../src/core/digest.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import type { CrashPlace, Stored } from '../suites/crash.ts';
import type { Counts, CrashPlan } from './crash-point.ts';
import { type CrashProcess, startCrashProcess } from './crash-process.ts';
import type { Postgres } from './postgres.ts';
import { type Passage, type Relay, startRelay } from './relay.ts';
import { s3Env, uploadKeyEnv } from './s3-env.ts';
import { createBucket } from './s3-harness.ts';
import type { S3Server } from './s3-server.ts';

const SERVER = new URL('crash-replica-server.ts', import.meta.url);
/** Longer than the lease of a completion. */
const LEASE_ENDED_MS = 31_000;
/** Each request says itself where it goes. */
const NOWHERE = 'http://127.0.0.1:1';

/** A service process and the requests that are under way in it. */
interface Replica {
  process: CrashProcess;
  dataDir: string;
  under: Promise<void>[];
  cut: AbortController;
}

/**
 * A service on PostgreSQL and S3. One that dies is started again; for one that freezes another replica takes over, and it
 * wakes up when the push is over. Parts go past the service: the gateway's requests for them are where it stops in `part`,
 * before one is passed on and after it was answered.
 */
export class CrashReplicas implements CrashPlace {
  readonly acknowledged: string;
  closed = false;
  readonly #server: S3Server;
  readonly #dir: string;
  readonly #env: Record<string, string>;
  readonly #front: Relay;
  readonly #gateway: Relay;
  #live: Promise<Replica>;
  #frozen: Replica | null = null;
  #plan: CrashPlan | null = null;
  #parts = 0;
  #stoppedAtPart = Promise.withResolvers<void>();

  private constructor(server: S3Server, dir: string, env: Record<string, string>, relays: [Relay, Relay]) {
    this.acknowledged = join(dir, 'acknowledged');
    this.#server = server;
    this.#dir = dir;
    this.#env = env;
    [this.#front, this.#gateway] = relays;
    this.#front.before = () => this.#pass();
    this.#gateway.before = ({ method, url }) => this.#passToGateway(`${method} ${url}`);
    this.#live = this.#start(join(dir, 'replica-0'));
  }

  /** With a database and a bucket of its own. */
  static async open(server: S3Server, postgres: Postgres): Promise<CrashReplicas> {
    const dir = await mkdtemp(join(tmpdir(), 'artifact-store-crash-place-'));
    const database = new URL(await postgres.createDatabase());
    // A replica that is frozen inside a transaction must not be waited for ten seconds.
    database.searchParams.set('idle_in_transaction_session_timeout', '1000');
    const gateway = await startRelay(server.endpoint);
    const env = {
      ARTIFACT_STORE_PORT: '0',
      ARTIFACT_STORE_SIGNING_KEY: randomBytes(24).toString('hex'),
      ARTIFACT_STORE_DATABASE_URL: database.href,
      ...s3Env(server, await createBucket(server)),
      ...uploadKeyEnv(server),
      ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: gateway.url,
    };
    await writeFile(join(dir, 'time'), '0');
    const place = new CrashReplicas(server, dir, env, [await startRelay(NOWHERE), gateway]);
    await place.#live;
    return place;
  }

  get url(): string {
    return this.#front.url;
  }

  async arm(plan: CrashPlan | null): Promise<void> {
    const { process } = await this.#live;
    this.#parts = 0;
    this.#plan = plan;
    this.#stoppedAtPart = Promise.withResolvers();
    await process.arm(plan?.phase === 'part' ? null : plan);
  }

  async counts(): Promise<Counts> {
    return { ...(await (await this.#live).process.counts()), part: this.#parts };
  }

  async stopped(): Promise<void> {
    await Promise.race([(await this.#live).process.stopped, this.#stoppedAtPart.promise]);
  }

  async resume(action: CrashPlan['action']): Promise<void> {
    const stopped = await this.#live;
    const next = Promise.withResolvers<Replica>();
    this.#live = next.promise;
    stopped.cut.abort();
    await this.#endLeases();
    if (action === 'SIGSTOP') this.#frozen = stopped;
    const dataDir =
      action === 'SIGSTOP' ? join(this.#dir, `replica-${randomBytes(4).toString('hex')}`) : stopped.dataDir;
    next.resolve(this.#start(dataDir));
    await this.#live;
  }

  async settle(): Promise<void> {
    const frozen = this.#frozen;
    if (frozen !== null) {
      frozen.process.signal('SIGCONT');
      await Promise.race([Promise.all(frozen.under), this.#died(frozen)]);
    }
    await this.#endLeases();
    const { process } = await this.#live;
    await Promise.all([process.recover(), frozen?.process.recover()]);
    await frozen?.process.kill();
    this.#frozen = null;
  }

  connect(): Knex {
    return connectPostgres(this.#env.ARTIFACT_STORE_DATABASE_URL as string);
  }

  /** After Ceph's garbage collection: what it has taken for garbage is gone. */
  async stored(): Promise<Stored> {
    await this.#server.collectGarbage();
    const { endpoint, region, credentials } = this.#server;
    const { hostname: endPoint, port } = new URL(endpoint);
    const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
    const witness = new Witness({ endPoint, port: Number(port), useSSL: false, accessKey, secretKey, region });
    const bucket = this.#env.ARTIFACT_STORE_S3_BUCKET as string;
    const objects = new Map<string, Digest>();
    for await (const { name } of witness.listObjectsV2(bucket, '', true)) {
      const hash = createHash('sha256');
      for await (const chunk of await witness.getObject(bucket, name)) hash.update(chunk);
      objects.set(name, digestFromBytes(hash.digest()));
    }
    const unfinished: string[] = [];
    // One without parts was opened by a replica that stopped before it told anybody: no URL was ever signed for it.
    for await (const { key, size } of witness.listIncompleteUploads(bucket, '', true))
      if (size > 0) unfinished.push(key);
    return { objects, unfinished };
  }

  /** Kept for the next trial, unless something went wrong in this one. */
  async leave(well: boolean): Promise<void> {
    if (!well) await this.close();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.#frozen?.process.kill();
    await (await this.#live).process.kill();
    await this.#front.close();
    await this.#gateway.close();
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #start(dataDir: string): Promise<Replica> {
    await mkdir(dataDir, { recursive: true });
    const process = await startCrashProcess(SERVER, {
      env: { ...this.#env, ARTIFACT_STORE_DATA_DIR: dataDir },
      acknowledged: this.acknowledged,
      timeFile: join(this.#dir, 'time'),
    });
    return { process, dataDir, under: [], cut: new AbortController() };
  }

  async #died({ process }: Replica): Promise<never> {
    await process.exited;
    throw new Error('a replica that was frozen died when it went on');
  }

  async #endLeases(): Promise<void> {
    const file = join(this.#dir, 'time');
    await writeFile(file, String(Number(await readFile(file, 'utf8')) + LEASE_ENDED_MS));
  }

  async #pass(): Promise<Passage> {
    const { process, under, cut } = await this.#live;
    const { promise, resolve } = Promise.withResolvers<void>();
    under.push(promise);
    return { to: process.url, cut: cut.signal, ended: resolve };
  }

  async #passToGateway(request: string): Promise<Passage> {
    const ofPush = /^PUT .*\/objects\/.*partNumber=/.test(request);
    if (ofPush) await this.#part();
    return { to: this.#gateway.target, ended: () => ofPush && this.#part() };
  }

  async #part(): Promise<void> {
    this.#parts += 1;
    if (this.#plan?.phase !== 'part' || this.#parts !== this.#plan.nth) return;
    const { process } = await this.#live;
    await (this.#plan.action === 'SIGKILL' ? process.kill() : process.freeze());
    this.#stoppedAtPart.resolve();
  }
}
