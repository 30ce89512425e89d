import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import { apiOf, sha256 } from '../support/api.ts';
import { CEPH, type Ceph } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { POSTGRES, type Postgres } from '../support/postgres.ts';
import { isCommit, startRelay } from '../support/relay.ts';
import { required } from '../support/required.ts';
import { createBucket } from '../support/s3-harness.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/**
 * Faults of the gateway and of the way to it, at exact moments of a push. Each ends in a push that
 * completes, by itself or when the same command is given again, or in a clear error. Afterwards Ceph destroys what it took
 * for garbage, and every object and every file is read.
 */
const SUITE = 'Faults of PostgreSQL and Ceph';
const ceph = await required(SUITE, CEPH);
const postgres = ceph && (await required(SUITE, POSTGRES));
const MIB = 1024 ** 2;
/** Ceph takes no smaller part than 5 MiB, but the last. */
const LIMITS = { single_part_max: 5 * MIB, part_size: 5 * MIB, pack_target: MIB };

if (ceph && postgres) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  faults(ceph, postgres);
}

function faults(ceph: Ceph, postgres: Postgres): void {
  /** A service on a database and a bucket of its own, with a proxy before the gateway and a relay before itself. */
  async function place(t: ExecutionContext) {
    const folder = await tempFolder(t);
    const bucket = await createBucket(ceph);
    const gateway = await startFaultProxy(ceph.endpoint);
    const service = await startTestService({
      limits: LIMITS,
      env: {
        ARTIFACT_STORE_DATABASE_URL: await postgres.createDatabase(),
        ARTIFACT_STORE_S3_BUCKET: bucket,
        ARTIFACT_STORE_S3_ENDPOINT: gateway.url,
        ARTIFACT_STORE_S3_REGION: ceph.region,
        ARTIFACT_STORE_S3_ACCESS_KEY_ID: ceph.credentials.accessKeyId,
        ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: ceph.credentials.secretAccessKey,
        ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID: ceph.uploadCredentials.accessKeyId,
        ARTIFACT_STORE_S3_UPLOAD_SECRET_ACCESS_KEY: ceph.uploadCredentials.secretAccessKey,
      },
    });
    const relay = await startRelay(service.url);
    t.teardown(async () => {
      await service.dispose();
      await relay.close();
      await gateway.close();
    });
    const run = await writeTree(join(folder, 'run'), newTree());
    const cli = (...args: string[]) =>
      runCli([...args, '--json', '--url', relay.url], { cwd: folder, env: { XDG_CACHE_HOME: join(folder, 'cache') } });
    return {
      bucket,
      gateway,
      relay,
      run,
      cli,
      api: apiOf(service.url),
      push: () => cli('push', run, '--producer', 'faults'),
    };
  }
  type Place = Awaited<ReturnType<typeof place>>;

  /** 150 small files, which go in packs, and one of three parts. */
  function newTree(): Record<string, Buffer> {
    const small = Array.from({ length: 150 }, (_, n) => [`small/${n}`, randomBytes(10_000 + n)]);
    return { ...Object.fromEntries(small), 'large.bin': randomBytes(12 * MIB) };
  }

  /** The fault is over: the same command again if the first one gave up, and everything is whole after that. */
  async function completes(t: ExecutionContext, at: Place, first: Awaited<ReturnType<Place['push']>>): Promise<void> {
    at.gateway.decide = () => 'pass';
    at.relay.before = async () => 'pass';
    if (first.code !== 0) t.is(typeof first.json?.error?.code, 'string', first.stdout + first.stderr);
    t.log(first.code === 0 ? 'completed by itself' : `gave up with ${first.json.error.code}, exit ${first.code}`);
    const done = first.code === 0 ? first : await at.push();
    t.is(done.code, 0, done.stdout + done.stderr);
    t.is(done.json.status, 'finalized');
    await ceph.collectGarbage();
    const verified = await at.cli('verify', done.json.package_id);
    t.is(verified.code, 0, verified.stdout);
    t.is(verified.json.files, 151);
    await everyObjectIsWhole(t, at.bucket);
  }

  /** As an independent client sees them: each has the bytes that its key names. */
  async function everyObjectIsWhole(t: ExecutionContext, bucket: string): Promise<void> {
    const { hostname, port } = new URL(ceph.endpoint);
    const { accessKeyId: accessKey, secretAccessKey: secretKey } = ceph.credentials;
    const witness = new Witness({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey,
      secretKey,
      region: ceph.region,
    });
    let objects = 0;
    for await (const item of witness.listObjectsV2(bucket, 'objects/', true)) {
      const { name } = item as { name: string };
      const bytes = Buffer.concat(await (await witness.getObject(bucket, name)).toArray());
      const [, hex] = /([0-9a-f]{64})/.exec(name) ?? [];
      t.is(sha256(bytes), `sha256:${hex}`, name);
      objects += 1;
    }
    t.true(objects >= 3);
  }

  const isPartPut = (line: string) => line.startsWith('PUT ') && line.includes('partNumber=');
  const isCreate = (line: string) => line.startsWith('POST ') && /[?&]uploads/.test(line);
  const isComplete = (line: string) => line.startsWith('POST ') && line.includes('uploadId=');
  const isManifest = (line: string) => line.startsWith('PUT ') && line.includes('manifest.json');
  const isListParts = (line: string) => line.startsWith('GET ') && line.includes('uploadId=');

  /** At the `nth` request that fits. */
  function at(nth: number, fits: (line: string) => boolean, act: () => Fault | Promise<Fault>) {
    let count = 0;
    return (line: string): Fault | Promise<Fault> => {
      if (!fits(line)) return 'pass';
      count += 1;
      return count === nth ? act() : 'pass';
    };
  }

  /** After kill -9 Ceph takes half a minute to believe that the gateway is gone: few moments, each of another kind. */
  const MOMENTS = [
    { name: 'before it gets a part', fits: isPartPut, passedOn: false },
    { name: 'while it completes an upload', fits: isComplete, passedOn: true },
    { name: 'while it takes a manifest', fits: isManifest, passedOn: true },
  ];

  for (const { name, fits, passedOn } of MOMENTS) {
    test.serial(`the gateway is killed ${name}, and started again`, async (t) => {
      const here = await place(t);
      let back: Promise<void> = Promise.resolve();
      const restart = async () => {
        await ceph.killGateway();
        back = ceph.startGateway();
        back.catch(() => {});
      };
      here.gateway.decide = at(1, fits, async (): Promise<Fault> => {
        if (passedOn) setImmediate(restart);
        else await restart();
        return 'pass';
      });
      const pushed = await here.push();
      await back;
      await completes(t, here, pushed);
    });
  }

  for (const [name, fits] of [
    ['starting an upload', isCreate],
    ['a part', isPartPut],
    ['listing parts', isListParts],
    ['a Complete', isComplete],
    ['a manifest', isManifest],
  ] as const) {
    test.serial(`the answer to ${name} is lost`, async (t) => {
      const here = await place(t);
      here.gateway.decide = at(1, fits, () => 'loseAnswer');
      await completes(t, here, await here.push());
    });
  }

  test.serial('parts whose connections break in the middle of their bytes', async (t) => {
    const here = await place(t);
    let count = 0;
    here.gateway.decide = (line) => {
      if (!isPartPut(line)) return 'pass';
      count += 1;
      return count <= 4 ? { cutAfter: count * 200_000 } : 'pass';
    };
    await completes(t, here, await here.push());
    t.true(count > 4);
  });

  for (const every of [3, 5, 7]) {
    test.serial(`every connection's request of ${every} is reset`, async (t) => {
      const here = await place(t);
      let count = 0;
      here.gateway.decide = () => (++count % every === 0 ? 'reset' : 'pass');
      await completes(t, here, await here.push());
      t.log(`${Math.floor(count / every)} resets`);
    });
  }

  test.serial('a gateway that takes bytes slowly', async (t) => {
    const here = await place(t);
    here.gateway.decide = (line) => (isPartPut(line) ? { slow: 16_384 } : 'pass');
    await completes(t, here, await here.push());
  });

  test.serial(
    'a user that is suspended while the service runs: a clear error, and the same push goes on',
    async (t) => {
      const here = await place(t);
      here.relay.before = async (request) => {
        if (isCommit(request)) await ceph.admin('user', 'suspend', '--uid=store');
        return 'pass';
      };
      const pushed = await here.push();
      t.not(pushed.code, 0);
      t.log((await here.api.get('/readyz')).body.blob_store);
      await ceph.admin('user', 'enable', '--uid=store');
      await completes(t, here, pushed);
    },
  );
}
