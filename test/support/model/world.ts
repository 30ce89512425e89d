import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Knex } from 'knex';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import type { StreamChecker } from '../../../src/blobs/check-thread.ts';
import { KEYS_PREFIX, type ObjectKey, STORE_KEY } from '../../../src/blobs/key-layout.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { isStoreError } from '../../../src/core/errors.ts';
import { newId, type PackageId } from '../../../src/core/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';
import { DEFAULT_QUOTAS, type Quotas } from '../../../src/core/quotas.ts';
import { readSigningKey } from '../../../src/core/signing-key.ts';
import { type StoreId, storeBytes } from '../../../src/core/store-identity.ts';
import { openRegistry, type Registry } from '../../../src/registry/registry.ts';
import { readFile } from '../../../src/usecases/read-file.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type AuditLog, type Services, SYSTEM } from '../../../src/usecases/services.ts';
import { startSweep } from '../../../src/usecases/sweep.ts';
import { type MemoryStore, memoryStore } from './memory-store.ts';
import { Killed, Schedule } from './schedule.ts';

const KEY = readSigningKey(
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
);
const STORE_ID = newId('sto', 1) as StoreId;
const MINUTE = 60_000;
const DAY = 86_400_000;
const GRACE_MS = 10 * MINUTE;
/** More steps than any schedule takes. */
const STEPS_MAX = 20_000;

const NO_LOG: AuditLog = {
  origin: () => assert.fail('no schedule asks for the log'),
  checkpoint: () => assert.fail('no schedule asks for the log'),
  // Receipts of deletions are left to later: they need the log.
  keepUp: async () => {},
};
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/** A registry, a store in memory, and services on both whose every step is decided by a schedule. */
export class World {
  readonly schedule = new Schedule();
  readonly #registry: Registry;
  readonly #db: Knex;
  readonly #memory: MemoryStore;
  readonly #clock: { shift: number };
  readonly #checker: StreamChecker;
  readonly #running = new Set<Promise<void>>();
  readonly failures: unknown[] = [];
  #processes = 0;

  private constructor(registry: Registry, db: Knex, clock: { shift: number }, checker: StreamChecker) {
    this.#registry = registry;
    this.#db = db;
    this.#clock = clock;
    this.#checker = checker;
    this.#memory = memoryStore(() => Date.now() + clock.shift);
    this.#memory.objects.set(STORE_KEY, { bytes: storeBytes(STORE_ID), modifiedAt: 0 });
  }

  /** @param lab an empty registry, used for one world at a time */
  static async open({ registry, db, tables, clock, checker }: Lab): Promise<World> {
    clock.shift = 0;
    for (const table of tables) await db(table).delete();
    await registry.transaction(async (tables) => {
      await tables.retention.syncClasses({ 'raw-evidence': 1 });
      await tables.stores.setId(STORE_ID, 1);
    });
    return new World(registry, db, clock, checker);
  }

  pass(ms: number): void {
    this.schedule.log.push(`${ms / MINUTE} min pass`);
    this.#clock.shift += ms;
  }

  /** A service of its own process. @param name for the log */
  service(name: string, quotas: Quotas = DEFAULT_QUOTAS): Services<BlobStore> {
    const process = `${name} ${++this.#processes}`;
    const gate = <T>(what: string, work: () => Promise<T>) => this.schedule.gate(process, what, work);
    const { store, spool } = this.#memory;
    const registry: Registry = {
      ...this.#registry,
      read: gatedReads(this.#registry.read, gate),
      transaction: (work) => gate('transaction', () => this.#registry.transaction(work)),
    };
    return {
      registry,
      blobs: { ...store, uploads: gated(store.uploads, gate), objects: gated(store.objects, gate) },
      spool,
      checker: this.#checker,
      limits: DEFAULT_LIMITS,
      quotas,
      log: QUIET,
      meters: { committed() {}, verified() {}, damaged() {}, checked() {}, swept() {}, recovered() {}, webhook() {} },
      instance: process,
      running: new Map(),
      commitPatienceMs: 3_600_000,
      underWay: () => [],
      storeId: () => STORE_ID,
      sweepGraceMs: GRACE_MS,
      fixity: { period: null, rate: 1 },
      busy: () => false,
      inBackground: (what, id, work) =>
        this.#begin(`${process}, ${what} ${id}`, () => work(new AbortController().signal)),
      publicUrl: () => 'http://model',
      keys: { current: () => KEY, replace: null },
      auditLog: NO_LOG,
      webhooks: {
        urlProblem: () => null,
        post: () => Promise.reject(new Error('nothing is sent')),
        secretOf: () => '',
      },
      signRange: () => ({ method: 'GET', url: 'memory:', headers: {}, expiresAt: 0 }),
    };
  }

  /** Bytes that a client sends by a part's URL. */
  async send(services: Services, uploadId: string, number: number, bytes: Buffer): Promise<void> {
    await this.schedule.gate(services.instance, `part ${number}`, async () => {
      this.#memory.uploads.get(uploadId as never)?.set(number, bytes);
    });
  }

  /** A process dies: what it was about to do is not done. */
  dies(instance: string): void {
    this.schedule.kill(instance);
  }

  /** Somebody who does something; refusals of the service end it, and so does the death of its process. */
  begin(what: string, work: () => Promise<unknown>): void {
    this.#begin(what, work);
  }

  #begin(what: string, work: () => Promise<unknown>): void {
    const done: Promise<void> = work().then(
      () => {},
      (error: unknown) => {
        if (!(error instanceof Killed) && !isStoreError(error)) this.failures.push(new Error(what, { cause: error }));
      },
    );
    this.#running.add(done);
    void done.then(() => this.#running.delete(done));
  }

  /** Lets waiting tasks go on, one at a time, until none waits. @param choose given how many wait, the index of the one that goes on */
  async run(choose: (waiting: number) => number): Promise<void> {
    await this.schedule.settle();
    for (let steps = 0; this.schedule.waiting > 0; steps += 1) {
      if (steps > STEPS_MAX) throw new Error('the schedule does not end');
      await this.schedule.step(choose(this.schedule.waiting));
    }
  }

  /** Time passes, recovery and sweeps run undisturbed: what is left then is meant to stay. */
  async comeToRest(): Promise<void> {
    const last = this.service('the last one');
    const first = () => 0;
    this.pass(MINUTE);
    for (let round = 0; round < 2; round += 1) {
      this.begin('recovery', () => recover(last));
      await this.run(first);
      // Uploads expire after a week.
      this.pass(8 * DAY);
    }
    for (let round = 0; round < 3; round += 1) {
      this.begin('sweep', () => startSweep(last, SYSTEM, SWEEP));
      await this.run(first);
      const waits = await this.#db('objects').whereNotIn('state', ['live', 'gone']).first('no');
      if (waits === undefined) return;
      this.pass(DAY);
    }
  }

  /** No finalized package has lost a byte. @throws AssertionError */
  async assertWhole(): Promise<void> {
    const files = await this.#db('package_files as f')
      .join('packages as p', 'p.no', 'f.package_no')
      .join('blobs as b', 'b.no', 'f.blob_no')
      .where('p.status', 'finalized')
      .select('p.id', 'f.path', 'b.digest');
    const reader = { ...this.service('the reader'), registry: this.#registry, blobs: this.#memory.store };
    // What a file is read from follows from its digest alone: each is read once.
    const byDigest = new Map(files.map((file) => [`sha256:${(file.digest as Buffer).toString('hex')}`, file]));
    for (const [key, { id, path }] of byDigest) {
      const digest = key as ReturnType<typeof digestOf>;
      const at = await this.#registry.read.blobs.locate(digest);
      const where = `${path} of ${id}`;
      assert.ok(at, `${where} is nowhere`);
      assert.ok(at.state === 'live' || at.state === 'condemned', `${where} is in an object that is ${at.state}`);
      const read = await (await readFile(reader, SYSTEM, id, path)).openWhole();
      const bytes = Buffer.isBuffer(read) ? read : await buffer(read);
      assert.equal(digestOf(bytes), digest, where);
    }
  }

  /** The registry has what storage has, and nothing waits for anything. @throws AssertionError */
  async assertAtRest(): Promise<void> {
    const rows: Array<{ key: string; state: string }> = await this.#db('objects').select('key', 'state');
    const there = rows.filter(({ state }) => state !== 'gone');
    assert.deepEqual(
      [...new Set(there.map(({ state }) => state))].filter((state) => state !== 'live'),
      [],
    );
    const isObject = (key: string) => !key.includes('/decisions/') && key !== STORE_KEY && !key.startsWith(KEYS_PREFIX);
    const keys = [...this.#memory.objects.keys()].filter(isObject);
    assert.deepEqual(keys.toSorted(), there.map(({ key }) => key).toSorted(), 'storage and registry are equal');
    const needed = await this.#db('objects as o')
      .where({ state: 'live' })
      .whereIn('kind', ['blob', 'pack'])
      .whereRaw(
        `not exists (select 1 from blobs b join package_files f on f.blob_no = b.no join packages p on p.no = f.package_no
          where b.object_no = o.no and p.status <> 'deleted' and p.status <> 'failed')`,
      )
      .select('key');
    assert.deepEqual(needed, [], 'nothing stays that nothing needs');
    const told = await this.#db('audit_events')
      .whereIn('action', ['object.damaged', 'object.lost'])
      .select('subject_id');
    assert.deepEqual(told, [], 'nothing is said to be damaged or lost');
    const found = await this.#db('object_checks')
      .whereIn('result', ['damaged', 'missing'])
      .select('object_no', 'result');
    assert.deepEqual(found, [], 'fixity has found nothing wrong');
    const open = await this.#db('uploads').whereIn('state', ['open', 'completing', 'aborting']).select('id', 'state');
    assert.deepEqual(open, [], 'no upload is half done');
    assert.equal(this.#memory.uploads.size, 0, 'storage has no part of any upload');
  }

  /** What producers use is what their packages have, whoever died where. @throws AssertionError */
  async assertUsage(): Promise<void> {
    const { usage } = this.#registry.read;
    assert.deepEqual(await usage.list({ all: true }, null, 1_000), await usage.counted());
  }

  async expire(id: PackageId): Promise<void> {
    await this.#registry.transaction(({ packages }) => packages.update(id, { expires_at: 1 }));
  }
}

export const SWEEP = {
  apply: true,
  reconcile: false,
  rewrite: { maxDead: 0.5, maxRewrite: Number.POSITIVE_INFINITY },
};

/** What worlds share, one after the other. */
export interface Lab {
  registry: Registry;
  db: Knex;
  /** In the order in which they may be emptied. */
  tables: readonly string[];
  clock: { shift: number };
  checker: StreamChecker;
}

export async function openLab(db: Knex, checker: StreamChecker): Promise<Lab> {
  const clock = { shift: 0 };
  const registry = await openRegistry(db, { timeShift: () => clock.shift });
  return { registry, db, tables: await tablesOf(db), clock, checker };
}

/**
 * All tables but those that say which migrations there were, each after those that refer to it. Emptied in this order no pragma is needed,
 * after which SQLite would compile every statement anew.
 */
async function tablesOf(db: Knex): Promise<string[]> {
  const tables: Array<{ name: string }> = await db('sqlite_master').where({ type: 'table' }).select('name');
  const left = new Map<string, Set<string>>();
  for (const { name } of tables.filter((table) => !/^(knex|sqlite)_/.test(table.name))) {
    const refers: Array<{ table: string }> = await db.raw(`pragma foreign_key_list('${name}')`);
    left.set(name, new Set(refers.map(({ table }) => table).filter((table) => table !== name)));
  }
  const order: string[] = [];
  while (left.size > 0) {
    const [free] = [...left.keys()].filter((name) => [...left.values()].every((refers) => !refers.has(name)));
    if (free === undefined) throw new Error('tables refer to each other in a circle');
    left.delete(free);
    order.push(free);
  }
  return order;
}

type Gate = <T>(what: string, work: () => Promise<T>) => Promise<T>;

/** Every method of a part of the store waits for its turn; a list for each of its items. */
function gated<Part extends object>(part: Part, gate: Gate): Part {
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => {
      if (typeof value !== 'function') return [name, value];
      if (name === 'list' || name === 'listBegun') {
        return [
          name,
          async function* (...args: unknown[]) {
            const items = (value as (...args: unknown[]) => AsyncGenerator)(...args);
            for (;;) {
              const { done, value: item } = await gate(name, () => items.next());
              if (done) return;
              yield item;
            }
          },
        ];
      }
      if (name === 'write') {
        // What is written may be read from the registry meanwhile, which waits for turns of its own.
        return [
          name,
          async (key: ObjectKey, chunks: AsyncIterable<Uint8Array>) => {
            const bytes = await buffer(chunks);
            return gate(`write ${key}`, () => value(key, Readable.from([bytes])));
          },
        ];
      }
      return [name, (...args: unknown[]) => gate(`${name} ${keyOf(args[0])}`, () => value(...args))];
    }),
  ) as Part;
}

function keyOf(argument: unknown): string {
  return typeof argument === 'string' ? argument : String((argument as { key?: string } | undefined)?.key ?? '');
}

function gatedReads(read: Registry['read'], gate: Gate): Registry['read'] {
  const tables = Object.entries(read).map(([table, methods]) => {
    if (typeof methods === 'function') return [table, () => gate(table, methods as () => Promise<unknown>)];
    return [
      table,
      new Proxy(methods as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>, {
        get:
          (target, name: string) =>
          (...args: unknown[]) =>
            gate(`${table}.${name}`, async () => (target[name] as (...args: unknown[]) => Promise<unknown>)(...args)),
      }),
    ];
  });
  return Object.fromEntries(tables) as unknown as Registry['read'];
}
