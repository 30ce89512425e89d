import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { type RelayedRequest, startRelay } from '../support/relay.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** A push of one file of three parts, straight into real storage, that does not go as planned. */
const started = await required('Going on with a push into S3', S3);
const server = started as S3Server;
const PART = 5 * 1024 ** 2;
const LIMITS = { single_part_max: PART, part_size: PART };

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  /** A relay before the service and one before storage, which the signed URLs name. */
  async function place(t: ExecutionContext) {
    const folder = await tempFolder(t);
    const storage = await startRelay(server.endpoint);
    const service = await startTestService({
      limits: LIMITS,
      env: {
        ...s3Env(server, await createBucket(server)),
        ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: storage.url,
      },
    });
    const front = await startRelay(service.url);
    t.teardown(async () => {
      await front.close();
      await service.dispose();
      await storage.close();
    });
    const bytes = randomBytes(2 * PART + 1_000);
    const run = await writeTree(join(folder, 'run'), { 'large.bin': bytes });
    const args = ['push', run, '--producer', 'tests', '--external-id', 'run', '--parallel', '1', '--json'];
    const env = { ARTIFACT_STORE_URL: front.url, XDG_CACHE_HOME: join(folder, 'cache') };
    return {
      service,
      front,
      storage,
      push: (onSpawn?: (child: ChildProcess) => void) => runCli(args, { env, ...(onSpawn && { onSpawn }) }),
      /** What the package's file is now. */
      async stored(id: string): Promise<string> {
        const came = await fetch(`${service.url}/v1/packages/${id}/files/large.bin?redirect=false`);
        return sha256(Buffer.from(await came.arrayBuffer()));
      },
      digest: sha256(bytes),
      api: apiOf(service.url),
    };
  }

  /** Of a part of an object: the probe of the service writes elsewhere. */
  const partOf = ({ method, url }: RelayedRequest): number | null => {
    const { pathname, searchParams } = new URL(url, 'http://storage');
    const number = searchParams.get('partNumber');
    return method === 'PUT' && number !== null && pathname.includes('/objects/') ? Number(number) : null;
  };

  test.serial('killed after two of three parts arrived, the next push sends the third and no other', async (t) => {
    const { storage, push, stored, digest, api } = await place(t);
    let child: ChildProcess | undefined;
    storage.before = async (request) => {
      if (partOf(request) !== 3) return 'pass';
      child?.kill('SIGKILL');
      return 'drop';
    };
    const killed = await push((process) => {
      child = process;
    });
    t.is(killed.signal, 'SIGKILL', killed.stderr);
    t.deepEqual(
      storage.seen.map(partOf).filter((number) => number !== null),
      [1, 2, 3],
    );

    storage.seen.length = 0;
    storage.before = async () => 'pass';
    const done = await push();
    t.is(done.code, 0, done.stderr + done.stdout);
    t.deepEqual(
      storage.seen.map(partOf).filter((number) => number !== null),
      [3],
    );
    const { package_id, status } = done.json as { package_id: string; status: string };
    t.is(status, 'finalized');
    t.is(await stored(package_id), digest);
    t.is((await api.get('/v1/packages')).body.items.length, 1);
  });

  test.serial(
    'URLs that have expired are refused by storage; fresh ones are asked for, and the push ends well',
    async (t) => {
      const { service, front, storage, push, stored, digest } = await place(t);
      const { limits } = service.services;
      const lifetime = limits.url_lifetime;
      limits.url_lifetime = -60;
      let urls = 0;
      front.before = async ({ method, url }) => {
        if (method === 'POST' && url.endsWith('/urls')) {
          urls += 1;
          limits.url_lifetime = lifetime;
        }
        return 'pass';
      };
      const done = await push();
      t.is(done.code, 0, done.stderr + done.stdout);
      t.is(urls, 3, 'one for each part of the plan');
      t.deepEqual(
        storage.seen.map(partOf).filter((number) => number !== null),
        [1, 1, 2, 2, 3, 3],
      );
      t.is(await stored((done.json as { package_id: string }).package_id), digest);
    },
  );
}
