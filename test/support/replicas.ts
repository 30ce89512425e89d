import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundledArgs } from './bundled-sources.ts';
import { untilFrozen } from './frozen.ts';
import type { Passage } from './relay.ts';
import type { ReplicaServerOptions } from './replica-server.ts';

const SERVER = new URL('replica-server.ts', import.meta.url);

/** Longer than the lease of a completion. */
const LEASE_ENDED_MS = 31_000;

/** Freeze or die at this effect of a request (replica-server.ts). */
export interface Stop {
  signal: 'SIGKILL' | 'SIGSTOP';
  effect: number;
}

/** A service process, with the requests that are under way in it. */
class Replica {
  readonly child: ChildProcess;
  readonly url: string;
  readonly index: number;
  readonly exited: Promise<unknown>;
  #under: Promise<void>[] = [];
  #cut = new AbortController();

  constructor(child: ChildProcess, url: string, index: number) {
    this.child = child;
    this.url = url;
    this.index = index;
    this.exited = once(child, 'exit');
  }

  async frozen(): Promise<void> {
    await once(this.child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
    await untilFrozen(this.child);
  }

  passage(stop: Stop | null): Passage {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#under.push(promise);
    const headers: Record<string, string> = stop === null ? {} : { 'x-test-stop': `${stop.signal} ${stop.effect}` };
    return { to: this.url, headers, cut: this.#cut.signal, ended: resolve };
  }

  /** Cuts the clients off whose requests are under way, and leaves the requests. */
  cutClients(): void {
    this.#cut.abort();
    this.#cut = new AbortController();
  }

  /** Goes on after a freeze, until every request that it had has ended. */
  async thaw(): Promise<void> {
    this.child.kill('SIGCONT');
    await Promise.all(this.#under.splice(0));
  }

  async recover(): Promise<void> {
    const recovered = once(this.child, 'message');
    this.child.send('recover');
    await Promise.race([recovered, this.exited]);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await this.exited;
  }
}

/** Services on one PostgreSQL and one bucket; those that die are started again. */
export class Replicas {
  readonly #dir: string;
  readonly #env: Record<string, string>;
  readonly #clockOff: readonly number[];
  #live: Replica[] = [];
  #zombies: Replica[] = [];
  #lastStop: Promise<void> = Promise.resolve();
  #work: Promise<void>[] = [];
  #stopped = false;
  #changed = Promise.withResolvers<void>();

  private constructor(dir: string, env: Record<string, string>, clockOff: readonly number[]) {
    this.#dir = dir;
    this.#env = { ...env, ARTIFACT_STORE_SIGNING_KEY: randomBytes(24).toString('hex') };
    this.#clockOff = clockOff;
  }

  /** @param clockOff ms that the clock of each replica is off: as many replicas as numbers */
  static async start(dir: string, env: Record<string, string>, clockOff: readonly number[]): Promise<Replicas> {
    const replicas = new Replicas(dir, env, clockOff);
    await writeFile(replicas.#timeFile, '0');
    for (const index of clockOff.keys()) replicas.#live.push(await replicas.#start(index));
    return replicas;
  }

  get urls(): string[] {
    return this.#live.map(({ url }) => url);
  }

  get #timeFile(): string {
    return join(this.#dir, 'time');
  }

  async #start(index: number): Promise<Replica> {
    const dataDir = join(this.#dir, `replica-${index}-${randomBytes(4).toString('hex')}`);
    await mkdir(dataDir);
    const env = { ...this.#env, ARTIFACT_STORE_PORT: '0', ARTIFACT_STORE_DATA_DIR: dataDir };
    const clockOff = this.#clockOff[index] ?? 0;
    const options: ReplicaServerOptions = {
      env: { ARTIFACT_STORE_LOG_LEVEL: 'silent', ...env },
      timeFile: this.#timeFile,
      clockOff,
    };
    const child = fork(SERVER, [JSON.stringify(options)], {
      execArgv: bundledArgs(),
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`a replica ended with ${code} before it listened`);
    });
    failed.catch(() => {});
    const [message] = await Promise.race([once(child, 'message'), failed]);
    return new Replica(child, (message as { url: string }).url, index);
  }

  /** The leases of whatever is completing now end. */
  async #endLeases(): Promise<void> {
    await writeFile(this.#timeFile, String(Number(await readFile(this.#timeFile, 'utf8')) + LEASE_ENDED_MS));
  }

  /**
   * Passes a request to one of those that live, and does what follows when it stops there. While one is frozen the other
   * dies instead of freezing too: somebody must do the work.
   */
  async pass(random: () => number, stop: Stop | null): Promise<Passage> {
    if (stop === null) return (await this.#pick(random)).passage(null);
    // One that is about to stop must not be told to stop in another way: one stop after the other.
    const [before, { promise, resolve }] = [this.#lastStop, Promise.withResolvers<void>()];
    this.#lastStop = promise;
    await before;
    const replica = await this.#pick(random);
    const done: Stop = this.#zombies.length > 0 ? { ...stop, signal: 'SIGKILL' } : stop;
    const stopped = this.#stopping(replica, done).finally(resolve);
    this.#work.push(stopped.then(() => this.#afterStop(replica, done)));
    return replica.passage(done);
  }

  async #pick(random: () => number): Promise<Replica> {
    await this.#someLive();
    return this.#live[Math.floor(random() * this.#live.length)] as Replica;
  }

  async #stopping(replica: Replica, { signal }: Stop): Promise<void> {
    await (signal === 'SIGKILL' ? replica.exited : replica.frozen());
    this.#live = this.#live.filter((other) => other !== replica);
    if (signal === 'SIGSTOP') this.#zombies.push(replica);
  }

  async #afterStop(replica: Replica, { signal }: Stop): Promise<void> {
    if (this.#stopped) return;
    await this.#endLeases();
    if (signal === 'SIGKILL') {
      this.#join(await this.#start(replica.index));
      return;
    }
    replica.cutClients();
    await this.#someLive();
    await this.recover();
  }

  async #someLive(): Promise<void> {
    while (this.#live.length === 0) await this.#changed.promise;
  }

  #join(replica: Replica): void {
    this.#live.push(replica);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** What was frozen goes on and ends what it had begun; then every lease ends and each recovers. */
  async settle(): Promise<void> {
    await Promise.all(this.#work.splice(0));
    for (const zombie of this.#zombies.splice(0)) {
      await zombie.thaw();
      this.#join(zombie);
    }
    await this.#endLeases();
    await this.recover();
  }

  /** Recovery runs on each that lives. */
  async recover(): Promise<void> {
    await Promise.all(this.#live.map((replica) => replica.recover()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#live, ...this.#zombies].map((replica) => replica.kill()));
  }
}
