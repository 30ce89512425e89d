import { hash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import { FrameDecoder } from '../../src/core/frame-decoder.ts';
import { FrameTable } from '../../src/core/frame-table.ts';
import { openLog } from '../../src/log.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { COMMIT_PATIENCE_MS } from '../../src/usecases/commit-upload.ts';
import { mapLimit } from '../../src/usecases/map-limit.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Api, apiOf } from './api.ts';
import { type CliEnding, runCli } from './cli-child.ts';
import { type Exchange, httpFraming, postgresFraming } from './exchanges.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { usualOrLong } from './long.ts';
import type { Postgres } from './postgres.ts';
import { s3Env, uploadKeyEnv } from './s3-env.ts';
import type { S3Server } from './s3-place.ts';
import { startTestService, type TestService } from './service.ts';
import { tempFolder } from './temp.ts';
import { writeTree } from './tree.ts';

const MIB = 1024 ** 2;
const PART = 5 * MIB;
/** Two files of two parts, beside one of one part and small ones for several packs. */
const LARGE = { files: 2, size: PART + 1.25 * MIB };
const SMALL = { files: 300, size: 4_000 };
const LIMITS = { single_part_max: PART, part_size: PART, pack_target: MIB / 4 };
/** How long a test waits for a fault that may never be made. */
const PATIENCE_MS = 75_000;
/** Longer than a lease. */
const LEASE_DAYS = 31 / 86_400;

/** A service on Ceph and PostgreSQL with a proxy before each: between command line and service, service and database, everybody and the gateway. */
export interface Faulted {
  ceph: S3Server;
  service: TestService;
  bucket: string;
  /** Below which its store is in the bucket: other tests have theirs beside it. */
  prefix: string;
  front: FaultProxy;
  gateway: FaultProxy;
  database: FaultProxy;
  /** Straight to the service. */
  api: Api;
  /** What the service logged, as text. */
  log(): string;
  /** The command line, through the proxy. */
  cli(...args: string[]): Promise<CliEnding>;
  newTree(): Promise<Tree>;
  push(tree: Tree): Promise<CliEnding>;
  /** What `endsWell` has seen end well, and is still to be found whole. */
  pushed: Pushed[];
}

/** A tree, and the finalized package that it is. */
export interface Pushed {
  tree: Tree;
  packageId: string;
}

export interface Tree {
  folder: string;
  /** The external id of its package. */
  name: string;
  /** SHA-256 in hex by path. */
  digests: Map<string, string>;
}

/** @param bucket made before the first gateway is killed: Ceph makes none while it waits for one that is gone */
export async function startFaulted(
  t: ExecutionContext,
  ceph: S3Server,
  postgres: Postgres,
  bucket: string,
): Promise<Faulted> {
  const folder = await tempFolder(t);
  const url = new URL(await postgres.createDatabase());
  const gateway = await startFaultProxy(addressOf(ceph.endpoint), httpFraming);
  const database = await startFaultProxy(addressOf(url.href), postgresFraming);
  const through = new URL(url);
  through.port = String(database.port);
  const prefix = `store-${randomBytes(8).toString('hex')}`;
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const service = await startTestService({
    limits: LIMITS,
    commitPatience: COMMIT_PATIENCE_MS,
    log: openLog('info', sink),
    env: {
      ARTIFACT_STORE_DATABASE_URL: through.href,
      ...s3Env(ceph, bucket),
      ...uploadKeyEnv(ceph),
      ARTIFACT_STORE_S3_ENDPOINT: `http://127.0.0.1:${gateway.port}`,
      ARTIFACT_STORE_S3_PREFIX: prefix,
    },
  });
  const front = await startFaultProxy(addressOf(service.url), httpFraming);
  t.teardown(async () => {
    await service.dispose();
    for (const proxy of [front, gateway, database]) await proxy.close();
  });
  const cli = (...args: string[]) =>
    runCli([...args, '--json', '--url', `http://127.0.0.1:${front.port}`], {
      env: { XDG_CACHE_HOME: join(folder, 'cache') },
    });
  let trees = 0;
  return {
    ceph,
    service,
    bucket,
    prefix,
    front,
    gateway,
    database,
    api: apiOf(service.url),
    log: () => lines.join(''),
    cli,
    async newTree() {
      trees += 1;
      return makeTree(join(folder, `run-${trees}`), `run-${trees}`);
    },
    push: (tree) => cli('push', tree.folder, '--producer', 'faults', '--external-id', tree.name),
    pushed: [],
  };
}

/** Runs a test on such a service; then everything whose push has ended well in it must be whole. */
export async function onFaulted(
  t: ExecutionContext,
  { ceph, postgres, bucket }: { ceph: S3Server; postgres: Postgres; bucket: string },
  body: (t: ExecutionContext, place: Faulted) => Promise<void>,
): Promise<void> {
  const place = await startFaulted(t, ceph, postgres, bucket);
  await body(t, place);
  await pushedIsWhole(t, place);
}

async function pushedIsWhole(t: ExecutionContext, place: Faulted): Promise<void> {
  const pushed = place.pushed.splice(0);
  if (pushed.length === 0) return;
  const objects = await assertWhole(t, place, ...pushed);
  t.log(`${pushed.length} packages whole, ${objects} objects read back`);
}

/** `sleepDays` and `recover`, as a minute that passes would do, whenever the command line waits for an upload's end. */
export function mendWhileWaited({ front, service }: Faulted): void {
  front.always({
    point: 'asked',
    of: ({ what }) => what.startsWith('GET /v1/uploads/'),
    async act() {
      service.sleepDays(LEASE_DAYS);
      // While the database is away nothing can be mended: the next look tries again.
      await recover(service.services).catch(() => {});
    },
  });
}

function contentOf(stored: Buffer, frames: Buffer): Buffer {
  const decoder = FrameDecoder.whole(FrameTable.decode(frames));
  const content = Buffer.concat([...decoder.write(stored)]);
  decoder.end();
  return content;
}

/**
 * After Ceph's garbage collection: every object and every location of the registry is in the bucket byte for byte, every
 * file of every finalized package has such a location, and these trees are among the packages. @returns objects read
 */
export async function assertWhole(t: ExecutionContext, place: Faulted, ...pushed: Pushed[]): Promise<number> {
  const { ceph, cli, bucket, prefix, service } = place;
  await ceph.collectGarbage();
  const db = connectPostgres(databaseOf(place));
  try {
    const objects = await db('objects as o')
      .leftJoin('object_frames as f', 'f.object_no', 'o.no')
      .select('o.no', 'o.key', 'o.digest', 'o.size', 'o.stored_size', 'f.frames');
    const first = db('blobs').whereNotNull('object_no').select('object_no', 'digest', 'offset', 'size');
    const further = db('blob_locations as l')
      .join('blobs as b', 'b.no', 'l.blob_no')
      .select('l.object_no', 'b.digest', 'l.offset', 'b.size');
    const locations = [...(await first), ...(await further)];
    const whole = new Set<string>();
    const witness = witnessOf(ceph);
    await mapLimit(objects, 4, async ({ no, key, digest, size, stored_size, frames }) => {
      const stored = await buffer(await witness.getObject(bucket, `${prefix}/${key}`));
      t.is(stored.length, stored_size, key);
      const bytes = frames === null ? stored : contentOf(stored, frames);
      t.is(bytes.length, size, key);
      t.is(hash('sha256', bytes, 'hex'), digest.toString('hex'), key);
      for (const at of locations.filter(({ object_no }) => object_no === no)) {
        const own = at.digest.toString('hex');
        if (hash('sha256', bytes.subarray(at.offset, at.offset + at.size), 'hex') === own) whole.add(own);
      }
    });
    const files = await db('package_files as f')
      .join('packages as p', 'p.no', 'f.package_no')
      .join('blobs as b', 'b.no', 'f.blob_no')
      .where('p.status', 'finalized')
      .select('p.id', 'f.path', 'b.digest', 'f.size');
    const lacking = files.filter(({ digest, size }) => size > 0 && !whole.has(digest.toString('hex')));
    t.deepEqual(lacking, [], 'no finalized package lacks a byte');
    service.sleepDays(LEASE_DAYS);
    await recover(service.services);
    for (const { tree, packageId } of pushed) {
      const mine = files.filter(({ id }) => id === packageId);
      t.deepEqual(
        mine.filter(({ path, digest }) => tree.digests.get(path) !== digest.toString('hex')),
        [],
        'each file as it was',
      );
      t.is(mine.length, tree.digests.size, 'all of them');
      const half = await db('uploads')
        .where('package_id', packageId)
        .where((either) =>
          either.whereIn('state', ['open', 'completing', 'aborting']).orWhere({ drop_key: true, drop_later: false }),
        )
        .select('id', 'state');
      t.deepEqual(half, [], 'every upload has ended');
      const verified = await cli('verify', packageId);
      t.is(verified.code, 0, verified.stdout + verified.stderr);
      t.is(verified.json.files, tree.digests.size);
    }
    return objects.length;
  } finally {
    await db.destroy();
  }
}

/**
 * A push of a new tree, in which a fault is made: it must end well by itself, and be whole, which is seen at the end of the
 * test; in the long run at once. Its numbers go to the test's log.
 * @param make sets the fault up, and settles when it was made and repaired
 */
export async function endsWell(
  t: ExecutionContext,
  place: Faulted,
  what: string,
  make: () => Promise<string | undefined>,
): Promise<void> {
  const tree = await place.newTree();
  place.gateway.seen.length = 0;
  mendWhileWaited(place);
  const fault = make();
  const pushed = await place.push(tree);
  const made = await Promise.race([fault.then((seen) => ({ seen })), sleep(PATIENCE_MS, null, { ref: false })]);
  t.truthy(made, `${what}: the fault was made`);
  for (const proxy of [place.front, place.gateway, place.database]) proxy.clear();
  if (pushed.code !== 0)
    t.log(
      place
        .log()
        .split('\n')
        .filter((line) => line.includes('"level":50'))
        .join('\n'),
    );
  t.is(pushed.code, 0, `${what}: ${pushed.stdout}${pushed.stderr}`);
  assertCompletedOnce(t, place, what);
  const seen = made?.seen === undefined ? '' : ` ${made.seen};`;
  t.log(`${what}:${seen} the push ended well in ${pushed.json.seconds} s`);
  place.pushed.push({ tree, packageId: pushed.json.package_id });
  if (usualOrLong(false, true)) await pushedIsWhole(t, place);
}

/** What destroys objects on this Ceph, later and silently, is never sent: a second Complete, an Abort after one. */
function assertCompletedOnce(t: ExecutionContext, { gateway }: Faulted, what: string): void {
  const uploads = (of: (exchange: Exchange) => boolean) =>
    gateway.seen.filter(of).map((each) => /uploadId=([^& ]+)/.exec(each.what)?.[1]);
  const completed = new Set(uploads(asks.complete));
  t.is(uploads(asks.complete).length, completed.size, `${what}: no Complete was sent twice`);
  t.deepEqual(
    uploads(asks.abort).filter((upload) => completed.has(upload)),
    [],
    `${what}: no Abort after a Complete`,
  );
}

/** Nothing was finalized of a push that failed. */
export async function assertNotFinalized(t: ExecutionContext, { api }: Faulted, tree: Tree): Promise<void> {
  const { items } = (await api.get(`/v1/packages?external_id=${tree.name}&status=finalized`)).body;
  t.deepEqual(items, []);
}

/** The command line's error: its code, exit and message, with a next step or a name of what to change. */
export function errorOf({ code, json, stdout, stderr }: CliEnding): { code: string; message: string; next: string } {
  if (code === 0 || !json?.error) throw new Error(`not an error: ${code} ${stdout}${stderr}`);
  return json.error;
}

export function witnessOf({ endpoint, credentials, region }: S3Server): Witness {
  const { host: endPoint, port } = addressOf(endpoint);
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
  return new Witness({ endPoint, port, useSSL: false, accessKey, secretKey, region });
}

/** What is asked of the gateway, by its address. */
export const asks = {
  open: ({ what }: Exchange) => /^POST .*\?uploads/.test(what),
  part: ({ what }: Exchange) => /^PUT .*partNumber=/.test(what),
  parts: ({ what }: Exchange) => /^GET .*uploadId=/.test(what),
  complete: ({ what }: Exchange) => /^POST .*uploadId=/.test(what),
  abort: ({ what }: Exchange) => /^DELETE .*uploadId=/.test(what),
  read: ({ what }: Exchange) => /^GET .*\/objects\//.test(what) && !/uploadId=/.test(what),
  manifest: ({ what }: Exchange) => /^PUT .*manifest\.json/.test(what),
  manifestStat: ({ what }: Exchange) => /^HEAD .*manifest\.json/.test(what),
};

/** From its n-th time on. */
export function nth(n: number, of: (exchange: Exchange) => boolean): (exchange: Exchange) => boolean {
  let seen = 0;
  return (exchange) => of(exchange) && ++seen >= n;
}

function databaseOf({ service, database }: Faulted): string {
  const place = service.services.surroundings.database;
  return `postgres://postgres:secret@127.0.0.1:${database.port}/${/"(.+)"/.exec(place)?.[1]}`;
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

async function makeTree(folder: string, name: string): Promise<Tree> {
  const files: Record<string, Buffer> = { 'empty.log': Buffer.alloc(0), 'medium.bin': randomBytes(1.5 * MIB) };
  for (let n = 0; n < LARGE.files; n += 1) files[`large-${n}.bin`] = randomBytes(LARGE.size + n);
  for (let n = 0; n < SMALL.files; n += 1) {
    // Every tenth has the bytes of the one before it.
    const bytes = n % 10 === 9 ? (files[smallPath(n - 1)] as Buffer) : randomBytes(1 + ((n * 37) % (2 * SMALL.size)));
    files[smallPath(n)] = bytes;
  }
  await mkdir(folder, { recursive: true });
  await writeTree(folder, files);
  return { folder, name, digests: new Map(Object.entries(files).map(([path, b]) => [path, hash('sha256', b, 'hex')])) };
}

function smallPath(n: number): string {
  return `results/${n % 7}/case ${n}.json`;
}
