import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import { removeLeftovers } from '../../src/blobs/s3/probe-leftovers.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { startCarelessGateway } from '../support/careless-gateway.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket, s3Options } from '../support/s3-harness.ts';
import { S3, type S3Server, s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';

/** What probes leave behind on a real S3 server: nothing, whatever happened to them. */
const started = await required('What probes leave', S3);
const server = started as S3Server;
const HOUR = 3_600_000;

interface Bucket {
  bucket: string;
  client: S3Client;
  /** Every version, delete marker and open upload. */
  left(): Promise<{ objects: string[]; uploads: string[] }>;
}

async function versionedBucket(t: ExecutionContext): Promise<Bucket> {
  const bucket = await createBucket(server);
  const client = s3Client(server);
  t.teardown(() => client.destroy());
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
  const left = async () => {
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    const names = (list: Array<{ Key?: string | undefined }>) => list.map(({ Key = '' }) => Key).toSorted();
    return { objects: names([...Versions, ...DeleteMarkers]), uploads: names(Uploads) };
  };
  return { bucket, client, left };
}

/** By trying again and again. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(50);
}

const NOTHING = { objects: [], uploads: [] };

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test.serial('a probe of a versioned bucket leaves no version and no delete marker', async (t) => {
    const { bucket, left } = await versionedBucket(t);
    const report = await probeBackend(s3Options(server, bucket));
    t.is(report.problem, null);
    t.true(report.enforcing);
    t.deepEqual(await left(), NOTHING);
  });

  test.serial('a probe that is interrupted anywhere leaves nothing', async (t) => {
    const gateway = await startCarelessGateway(server);
    gateway.careless = false;
    t.teardown(() => gateway.close());
    const { bucket, left } = await versionedBucket(t);
    const options = s3Options(server, bucket, { endpoint: gateway.endpoint });
    const moments = [
      /^PUT .*\/source/,
      /^GET .*\/parts\?/,
      /^GET .*\/own-part\?/,
      /^GET .*\/own-object/,
      /^GET .*\/committed\?/,
    ];
    for (const moment of moments) {
      gateway.failing = (request) => moment.test(request);
      const { problem } = await probeBackend(options);
      t.regex(problem ?? '', /503/, String(moment));
      t.deepEqual(await left(), NOTHING, String(moment));
    }
    gateway.failing = () => false;
    const stopping = new AbortController();
    gateway.failing = (request) => {
      if (/^PUT .*\/own-wrong-object/.test(request)) stopping.abort(new Error('stopping'));
      return false;
    };
    t.is((await probeBackend(options, stopping.signal)).problem, 'stopping');
    t.deepEqual(await left(), NOTHING);
  });

  test.serial(
    'a gateway that becomes careless is noticed by the next probe, and from then on commits read back',
    async (t) => {
      const gateway = await startCarelessGateway(server);
      gateway.careless = false;
      t.teardown(() => gateway.close());
      const service = await startTestService({
        probeIntervals: { regular: 100, afterProblem: 100 },
        env: {
          ...s3Env(server, await createBucket(server)),
          ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: gateway.endpoint,
        },
      });
      t.teardown(() => service.dispose());
      const api = apiOf(service.url);
      const { blobs } = service.services;
      let read = 0;
      const openObject = blobs.objects.open.bind(blobs.objects);
      blobs.objects.open = (...args) => {
        read += 1;
        return openObject(...args);
      };
      const readsOfOneCommit = async (): Promise<number> => {
        const before = read;
        const bytes = randomBytes(1_000);
        const id = await api.create();
        await api.store(id, { f: bytes });
        t.is((await api.get(`/v1/packages/${id}/files`)).body.items[0].digest, sha256(bytes));
        return read - before;
      };
      const enforced = async () => (await api.get('/readyz')).body.blob_store.capabilities.part_digest_enforced;
      t.true(await enforced());
      t.is(await readsOfOneCommit(), 0);
      gateway.careless = true;
      await until(async () => !(await enforced()));
      t.is(await readsOfOneCommit(), 1);
      gateway.careless = false;
      await until(enforced);
      t.is(await readsOfOneCommit(), 0);
    },
  );

  test.serial('leftovers of a killed probe are removed when they are old enough, and nothing else is', async (t) => {
    const { bucket, client, left } = await versionedBucket(t);
    const put = (name: string) => client.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body: 'x' }));
    const open = (name: string) => client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: name }));
    const theirs = ['mine/objects/x', 'mine/probes', 'probe/another-prefix/x'];
    for (const name of ['mine/probe/0f/source', 'mine/probe/0f/source', ...theirs]) await put(name);
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'mine/probe/0f/source' }));
    for (const name of ['mine/probe/0f/committed', 'mine/probe/0f/parts', 'mine/objects/y']) await open(name);
    const all = await left();
    t.is(all.objects.length, 6);
    const remove = (later: number) =>
      removeLeftovers(s3Options(server, bucket, { prefix: 'mine', clock: () => Date.now() + later }));

    t.is(await remove(0), 0);
    t.deepEqual(await left(), all, 'they may be of a probe that is under way');
    t.is(await remove(1.5 * HOUR), 3);
    t.deepEqual(await left(), { objects: theirs, uploads: all.uploads }, 'a Complete may have been sent lately');
    t.is(await remove(2.5 * HOUR), 2);
    t.deepEqual(await left(), { objects: theirs, uploads: ['mine/objects/y'] });
  });
}
