import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { bundledArgs } from '../bundled-sources.ts';
import { untilFrozen } from '../frozen.ts';
import { type Relay, startRelay } from '../relay.ts';
import type { SoakServerOptions } from './server.ts';

const SERVER = new URL('server.ts', import.meta.url);
/** Each request says itself where it goes. */
const NOWHERE = 'http://127.0.0.1:1';

interface Replica {
  child: ChildProcess;
  url: string;
  instance: string;
  exited: Promise<unknown>;
}

/**
 * Services on one registry and one bucket, with a balancer before them that sends each request to one that is up: as a health check
 * would have it, not to one that is frozen, but what that has received it keeps.
 */
export class SoakServices {
  readonly #dir: string;
  readonly #env: Record<string, string>;
  readonly #db: pg.Client;
  readonly #relay: Relay;
  readonly #log: FileHandle;
  readonly #up = new Set<Replica>();
  readonly #frozen = new Set<Replica>();
  #changed = Promise.withResolvers<void>();
  #turn = 0;
  #closed = false;

  private constructor(dir: string, env: Record<string, string>, db: pg.Client, relay: Relay, log: FileHandle) {
    this.#dir = dir;
    this.#env = { ...env, ARTIFACT_STORE_SIGNING_KEY: randomBytes(24).toString('hex') };
    this.#db = db;
    this.#relay = relay;
    this.#log = log;
    relay.before = async () => ({ to: (await this.#next()).url });
  }

  /** @param env without port, data folder and signing key @param db to the same registry @param count how many replicas */
  static async start(dir: string, env: Record<string, string>, db: pg.Client, count: number): Promise<SoakServices> {
    const log = await open(join(dir, 'services.log'), 'a');
    const services = new SoakServices(dir, env, db, await startRelay(NOWHERE), log);
    await services.shiftTime(0);
    for (let n = 0; n < count; n += 1) await services.#start();
    return services;
  }

  /** Of the balancer. */
  get url(): string {
    return this.#relay.url;
  }

  get logFile(): string {
    return join(this.#dir, 'services.log');
  }

  /** Whether one more may stop. */
  get up(): number {
    return this.#up.size;
  }

  /** The registry's time is so many ms ahead from now on. */
  async shiftTime(ms: number): Promise<void> {
    await writeFile(join(this.#dir, 'time'), String(ms));
  }

  /** kill -9. @returns when another one has been started in its place */
  async kill(random: () => number): Promise<void> {
    const replica = this.#take(random);
    if (replica === undefined) return;
    await this.#end(replica);
    await this.#start();
  }

  /** SIGSTOP. @returns the frozen one; null: none is up */
  async freeze(random: () => number): Promise<Replica | null> {
    const replica = this.#take(random);
    if (replica === undefined) return null;
    this.#frozen.add(replica);
    replica.child.kill('SIGSTOP');
    await untilFrozen(replica.child);
    return replica;
  }

  /** SIGCONT. */
  thaw(replica: Replica): void {
    if (!this.#frozen.delete(replica)) return;
    replica.child.kill('SIGCONT');
    this.#add(replica);
  }

  /** kill -9 of a frozen one. @returns when another one has been started in its place */
  async killFrozen(replica: Replica): Promise<void> {
    this.#frozen.delete(replica);
    await this.#end(replica);
    await this.#start();
  }

  /** As if it had been silent for half a minute: others may take its completions over. */
  async endLeases({ instance }: Pick<Replica, 'instance'>): Promise<void> {
    await this.#db.query(`update uploads set lease_until = 1 where state = 'completing' and owner = $1`, [instance]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#up, ...this.#frozen].map(({ child }) => child.kill('SIGKILL')));
    await Promise.all([...this.#up, ...this.#frozen].map(({ exited }) => exited));
    await this.#relay.close();
    await this.#log.close();
  }

  async #start(): Promise<void> {
    if (this.#closed) return;
    const dataDir = join(this.#dir, `replica-${randomBytes(4).toString('hex')}`);
    await mkdir(dataDir);
    const options: SoakServerOptions = {
      env: {
        ARTIFACT_STORE_LOG_LEVEL: 'warn',
        ...this.#env,
        ARTIFACT_STORE_PORT: '0',
        ARTIFACT_STORE_DATA_DIR: dataDir,
      },
      timeFile: join(this.#dir, 'time'),
    };
    const stdio = ['ignore', 'ignore', this.#log.fd, 'ipc'] as const;
    const child = fork(SERVER, [JSON.stringify(options)], { execArgv: bundledArgs(), stdio: [...stdio] });
    const exited = once(child, 'exit');
    const failed = exited.then(([code, signal]) => {
      throw new Error(`a replica ended with ${code ?? signal} before it listened: ${this.logFile}`);
    });
    failed.catch(() => {});
    const [message] = await Promise.race([once(child, 'message'), failed]);
    const replica: Replica = { child, exited, ...(message as { url: string; instance: string }) };
    this.#add(replica);
    if (this.#closed) child.kill('SIGKILL');
  }

  /** One that is up is no more. */
  #take(random: () => number): Replica | undefined {
    const replica = [...this.#up][Math.floor(random() * this.#up.size)];
    if (replica !== undefined) this.#up.delete(replica);
    return replica;
  }

  async #end(replica: Replica): Promise<void> {
    replica.child.kill('SIGKILL');
    await replica.exited;
    await this.endLeases(replica);
  }

  #add(replica: Replica): void {
    this.#up.add(replica);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #next(): Promise<Replica> {
    while (this.#up.size === 0) await this.#changed.promise;
    this.#turn += 1;
    return [...this.#up][this.#turn % this.#up.size] as Replica;
  }
}
