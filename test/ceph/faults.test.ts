import { randomBytes } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import { apiOf, sha256 } from '../support/api.ts';
import { CEPH, type Ceph } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { POSTGRES, type Postgres } from '../support/postgres.ts';
import { isCommit, type RelayedRequest, startRelay } from '../support/relay.ts';
import { required } from '../support/required.ts';
import { createBucket, freshBucketName } from '../support/s3-harness.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/**
 * Faults of the gateway, of the database and of the way to them, at exact moments of a push. Each ends in a push that
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
  async function place(t: ExecutionContext, change: { bucket?: string; env?: Record<string, string> } = {}) {
    const folder = await tempFolder(t);
    const bucket = change.bucket ?? (await createBucket(ceph));
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
        ...change.env,
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
    if (first.code !== 0) t.is(typeof first.json?.error?.next, 'string', first.stdout + first.stderr);
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
  const isFinalize = ({ method, url }: RelayedRequest) => method === 'POST' && url.endsWith('/finalize');

  /** At the `nth` request that fits. */
  function at(nth: number, fits: (line: string) => boolean, act: () => Fault | Promise<Fault>) {
    let count = 0;
    return (line: string): Fault | Promise<Fault> => {
      if (!fits(line)) return 'pass';
      count += 1;
      return count === nth ? act() : 'pass';
    };
  }

  const MOMENTS = [
    { name: 'a part', fits: isPartPut, times: [1, 3] },
    { name: 'a Complete', fits: isComplete, times: [1, 2] },
    { name: 'the manifest of a finalize', fits: isManifest, times: [1] },
  ];

  for (const { name, fits, times } of MOMENTS) {
    for (const nth of times) {
      for (const passedOn of [false, true]) {
        const when = passedOn ? 'after' : 'before';
        test.serial(`the gateway is killed ${when} it got ${name} (${nth}), and started again`, async (t) => {
          const here = await place(t);
          let refused = 0;
          here.gateway.refused = () => {
            refused += 1;
            if (refused === 3) ceph.startGateway().catch((error) => t.fail(String(error)));
          };
          here.gateway.decide = at(nth, fits, async (): Promise<Fault> => {
            if (!passedOn) await ceph.killGateway();
            else setImmediate(() => ceph.killGateway().catch((error) => t.fail(String(error))));
            return 'pass';
          });
          const pushed = await here.push();
          if (refused < 3) await ceph.startGateway();
          await completes(t, here, pushed);
        });
      }
    }
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

  for (const [name, fits] of [
    ['while storage completes an upload', isComplete],
    ['while a manifest is written', isManifest],
  ] as const) {
    test.serial(`the database is killed ${name}, and started again`, async (t) => {
      const here = await place(t);
      here.gateway.decide = at(1, fits, async (): Promise<Fault> => {
        await postgres.process?.kill();
        return 'pass';
      });
      let after = 0;
      here.relay.before = async () => {
        if (here.gateway.seen.some((line) => fits(line)) && ++after === 3) await postgres.process?.start();
        return 'pass';
      };
      const pushed = await here.push();
      if (after < 3) await postgres.process?.start();
      await completes(t, here, pushed);
    });
  }

  for (const [name, fits] of [
    ['a commit', isCommit],
    ['a finalize', isFinalize],
  ] as const) {
    test.serial(`the database is killed before ${name}, and started again`, async (t) => {
      const here = await place(t);
      let after = 0;
      here.relay.before = async (request) => {
        if (after === 0 && !fits(request)) return 'pass';
        after += 1;
        if (after === 1) await postgres.process?.kill();
        if (after === 4) await postgres.process?.start();
        return 'pass';
      };
      const pushed = await here.push();
      if (after < 4) await postgres.process?.start();
      await completes(t, here, pushed);
    });
  }

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

  test.serial('a bucket that is not there at the start, and is made', async (t) => {
    const bucket = freshBucketName();
    const here = await place(t, { bucket });
    const { status, body } = await here.api.get('/readyz');
    t.is(status, 503);
    t.regex(JSON.stringify(body), new RegExp(bucket));
    const pushed = await here.push();
    t.not(pushed.code, 0);
    await createBucket(ceph, bucket);
    await completes(t, here, pushed);
  });

  test.serial('a bucket that is removed before the commit, and made again', async (t) => {
    const here = await place(t);
    let removed = false;
    here.relay.before = async (request) => {
      if (!removed && isCommit(request)) {
        removed = true;
        await ceph.admin('bucket', 'rm', `--bucket=${here.bucket}`, '--purge-objects', '--bypass-gc');
      }
      return 'pass';
    };
    const pushed = await here.push();
    t.not(pushed.code, 0);
    t.is((await here.api.get('/readyz')).status, 503);
    await createBucket(ceph, here.bucket);
    await completes(t, here, pushed);
  });

  test.serial('a wrong secret: said at once, and nothing is finalized', async (t) => {
    const here = await place(t, { env: { ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: 'not-the-secret' } });
    const { status, body } = await here.api.get('/readyz');
    t.is(status, 503);
    t.log(body.blob_store);
    await appendFile(join(here.run, 'small/1'), 'more');
    const pushed = await here.push();
    t.not(pushed.code, 0);
    t.is(typeof pushed.json.error.next, 'string', pushed.stdout);
    t.log(pushed.json.error);
    const { items } = (await here.api.get('/v1/packages')).body;
    t.deepEqual(
      items.filter((one: { status: string }) => one.status === 'finalized'),
      [],
    );
  });
}
