import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type ClientRequest, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { digestOf } from '../../src/core/digest.ts';
import { StoreError } from '../../src/core/errors.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { startCarelessGateway } from '../support/careless-gateway.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server, s3Client } from '../support/s3-server.ts';
import { startTestService, type TestService } from '../support/service.ts';

/**
 * `PUT …/files/{path}` onto a real S3 server: one part for what is small, several for what is large, none read back; what
 * is announced with its digest streams.
 */
const started = await required('PUT through the service onto S3', S3);
const server = started as S3Server;
const MIB = 1024 ** 2;
const PART = 5 * MIB;
const LIMITS = { single_part_max: PART, part_size: PART, max_parts: 4, object_size_max: 30 * MIB };

interface Watched {
  service: TestService;
  api: Api;
  id: string;
  bucket: string;
  /** What the service did with storage. */
  delivered: PlannedPart[];
  /** Bodies that it spooled. */
  spooled: { count: number };
  /** Keys that it read. */
  opened: string[];
  /** Makes the delivery of a part fail. */
  failing: (number: number | null) => void;
}

async function start(t: ExecutionContext, env: Record<string, string> = {}): Promise<Watched> {
  const bucket = await createBucket(server);
  const service = await startTestService({
    limits: LIMITS,
    env: {
      ...s3Env(server, bucket),
      ...env,
    },
  });
  t.teardown(() => service.dispose());
  const { blobs } = service.services;
  const delivered: PlannedPart[] = [];
  const opened: string[] = [];
  let fails: number | null = null;
  const deliverPart = blobs.uploads.deliverPart.bind(blobs.uploads);
  blobs.uploads.deliverPart = async (upload, part, file) => {
    if (part.number === fails) throw new StoreError('unavailable', 'as the test wants it');
    await deliverPart(upload, part, file);
    delivered.push(part);
  };
  const streamPart = blobs.uploads.streamPart.bind(blobs.uploads);
  blobs.uploads.streamPart = async (upload, part, body) => {
    await streamPart(upload, part, body);
    delivered.push(part);
  };
  const spooled = { count: 0 };
  const { spool } = service.services;
  const receive = spool.receive.bind(spool);
  spool.receive = (body, options) => {
    spooled.count += 1;
    return receive(body, options);
  };
  const known = new Set<unknown>();
  const watch = (message: unknown): void => {
    const { request } = message as { request: ClientRequest };
    const { pathname, searchParams } = new URL(request.path, 'http://storage');
    if (searchParams.get('x-id') !== 'GetObject' || !pathname.startsWith(`/${bucket}/`)) return;
    // A gateway of a test, in this process too, passes the same request on.
    const invocation = request.getHeader('amz-sdk-invocation-id');
    if (!known.has(invocation)) opened.push(pathname.slice(`/${bucket}/`.length));
    known.add(invocation);
  };
  subscribe('http.client.request.start', watch);
  t.teardown(() => void unsubscribe('http.client.request.start', watch));
  const api = apiOf(service.url);
  const failing = (number: number | null): void => {
    fails = number;
  };
  return { service, api, id: await api.create(), bucket, delivered, spooled, opened, failing };
}

/** Without a length, as `curl -T -` sends it. */
async function putChunked(
  url: string,
  bytes: Buffer,
): Promise<{ status: number; body: { code?: string; digest?: string } }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'PUT', headers: { 'transfer-encoding': 'chunked' } }, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(body) }), reject);
    });
    Readable.from(slices(bytes)).pipe(outgoing.on('error', reject));
  });
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
}

async function left(bucket: string): Promise<{ objects: number; uploads: number }> {
  const client = s3Client(server);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'objects/' }));
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return { objects: Contents.length, uploads: Uploads.length };
}

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test.serial(
    'one part up to single_part_max, several above; nothing is read back; all come back as they went',
    async (t) => {
      const { service, api, id, bucket, delivered, spooled, opened } = await start(t);
      let objects = 0;
      for (const [size, parts] of [
        [1, 1],
        [PART, 1],
        [PART + 1, 2],
        [3 * PART, 3],
        [3 * PART + 7, 4],
      ] as const) {
        for (const [nth, how] of (['with its length', 'with its digest', 'chunked'] as const).entries()) {
          const bytes = randomBytes(size);
          // Of one random byte two would be the same now and then, and the second need no upload.
          bytes[0] = nth;
          const url = `/v1/packages/${id}/files/${size}-${how.replaceAll(' ', '-')}`;
          delivered.length = 0;
          spooled.count = 0;
          const query = how === 'with its digest' ? `?digest=${sha256(bytes)}` : '';
          const { status, body } =
            how === 'chunked' ? await putChunked(service.url + url, bytes) : await api.call('PUT', url + query, bytes);
          t.is(status, 201, `${size} ${how}: ${JSON.stringify(body)}`);
          t.is(body.digest, sha256(bytes));
          const cut = delivered.toSorted((a, b) => a.number - b.number);
          t.is(cut.length, parts, `${size} ${how}`);
          t.is(spooled.count, how === 'with its digest' && parts === 1 ? 0 : 1, `${size} ${how}`);
          for (const part of cut) t.is(part.digest, digestOf(bytes.subarray(part.offset, part.offset + part.size)));
          t.deepEqual(opened, [], 'the service hashed every byte, and storage refused all others');
          const came = await fetch(`${service.url}${url}?redirect=false`);
          t.is(sha256(Buffer.from(await came.arrayBuffer())), sha256(bytes));
          opened.length = 0;
          objects += 1;
        }
      }
      t.deepEqual(await left(bucket), { objects, uploads: 0 });
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
      // Ceph destroys what it took for garbage: what can be read now stays.
      await server.collectGarbage();
      for (const { path, digest } of (await api.get(`/v1/packages/${id}/files`)).body.items) {
        const came = await fetch(`${service.url}/v1/packages/${id}/files/${path}?redirect=false`);
        t.is(sha256(Buffer.from(await came.arrayBuffer())), digest, path);
      }
    },
  );

  test.serial(
    'with ARTIFACT_STORE_S3_VERIFY=read everything is read back once, what belongs to the package too',
    async (t) => {
      const { api, id, opened } = await start(t, { ARTIFACT_STORE_S3_VERIFY: 'read' });
      t.is((await api.call('PUT', `/v1/packages/${id}/files/f`, randomBytes(2 * PART + 1))).status, 201);
      t.is(opened.length, 1);
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
      const [manifest, key, attestation, decision, ...more] = opened.slice(1);
      t.is(manifest, `packages/${id}/manifest.json`);
      t.regex(key ?? '', /^keys\/[0-9a-f]{64}\.pem$/);
      t.is(attestation, `packages/${id}/attestation.json`);
      t.true(decision?.startsWith(`packages/${id}/decisions/`), decision);
      t.deepEqual(more, []);
    },
  );

  test.serial(
    'an internal endpoint that accepts bytes other than those signed is noticed, and not trusted',
    async (t) => {
      const gateway = await startCarelessGateway(server);
      t.teardown(() => gateway.close());
      const { api, id, opened } = await start(t, {
        ARTIFACT_STORE_S3_ENDPOINT: gateway.endpoint,
        ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: server.endpoint,
      });
      const { capabilities, findings } = (await api.get('/readyz')).body.blob_store;
      t.like(capabilities, {
        service_bytes_enforced: false,
        part_digest_enforced: false,
        part_url_ends_with_upload: true,
      });
      t.regex(JSON.stringify(findings), /the storage was not seen to accept only the bytes that were signed/);
      const url = `/v1/packages/${id}/files`;
      t.is((await api.call('PUT', `${url}/f`, randomBytes(1_000))).status, 201);
      t.is((await api.call('PUT', `${url}/large`, randomBytes(2 * PART + 1))).status, 201);
      t.is(opened.length, 2, 'each is read back once');
      gateway.spoil = true;
      const bytes = randomBytes(1_000);
      const spoilt = await api.call('PUT', `${url}/g`, bytes);
      t.is(spoilt.status, 422);
      t.is(spoilt.body.code, 'digest_mismatch');
      t.is(spoilt.body.expected_digest, sha256(bytes));
      t.deepEqual(
        (await api.get(url)).body.items.map(({ path }: { path: string }) => path),
        ['f', 'large'],
      );
      const broken = await api.post(`/v1/packages/${id}/finalize`);
      t.is(broken.body.code, 'integrity_failure', 'a manifest that was changed on its way does not seal a package');
    },
  );

  test.serial(
    'a part that cannot be delivered, a wrong digest, a body too long: an error, and nothing stays',
    async (t) => {
      const { service, api, id, bucket, failing } = await start(t);
      const url = `/v1/packages/${id}/files/f`;
      const bytes = randomBytes(3 * PART);
      failing(2);
      const broken = await api.call('PUT', url, bytes);
      t.is(broken.status, 503);
      t.is(broken.body.code, 'unavailable');
      failing(null);
      t.is((await api.call('PUT', `${url}?digest=${sha256('other')}`, bytes)).status, 422);
      t.is(
        (await putChunked(service.url + url, randomBytes(4 * PART + 1))).status,
        413,
        'more than 4 parts, unannounced',
      );
      t.deepEqual(await left(bucket), { objects: 0, uploads: 0 });
      t.deepEqual((await api.get(`/v1/packages/${id}/files`)).body.items, []);
      t.is((await api.call('PUT', url, randomBytes(4 * PART + 1))).status, 201, 'announced, its parts are larger');
    },
  );

  test.serial('bytes streamed to storage that is not known to enforce digests are read back once', async (t) => {
    const { api, id, spooled, opened } = await start(t, { ARTIFACT_STORE_S3_VERIFY: 'read' });
    const bytes = randomBytes(PART);
    t.is((await api.call('PUT', `/v1/packages/${id}/files/f?digest=${sha256(bytes)}`, bytes)).status, 201);
    t.is(spooled.count, 0);
    t.is(opened.length, 1);
  });

  test.serial(
    'bytes that do not match the announced digest: both digests are reported, and nothing stays',
    async (t) => {
      const { api, id, bucket, spooled } = await start(t);
      for (const size of [1, 70_000, PART]) {
        const bytes = randomBytes(size);
        const { status, body } = await api.call('PUT', `/v1/packages/${id}/files/f`, bytes, {
          'repr-digest': `sha-256=:${Buffer.from(sha256('other').slice(7), 'hex').toString('base64')}:`,
        });
        t.is(status, 422);
        t.like(body, {
          code: 'digest_mismatch',
          path: 'f',
          expected_digest: sha256('other'),
          actual_digest: sha256(bytes),
        });
      }
      t.is(spooled.count, 0);
      t.deepEqual(await left(bucket), { objects: 0, uploads: 0 });
      t.deepEqual((await api.get(`/v1/packages/${id}/files`)).body.items, []);
    },
  );

  test.serial('known bytes are hashed and sent nowhere; a path that is taken is refused first', async (t) => {
    const { api, id, bucket, delivered } = await start(t);
    const bytes = randomBytes(70_000);
    const put = (path: string, digest: string, body = bytes) =>
      api.call('PUT', `/v1/packages/${id}/files/${path}?digest=${digest}`, body);
    t.is((await put('a', sha256(bytes))).status, 201);
    delivered.length = 0;
    t.is((await put('b', sha256(bytes))).status, 201);
    t.is(
      (await put('c', sha256(bytes), randomBytes(70_000))).body.code,
      'digest_mismatch',
      'a digest alone is no proof',
    );
    t.is((await put('a', sha256('other'))).body.code, 'duplicate_path');
    t.is((await put('a/b', sha256('other'))).body.code, 'path_conflict');
    t.deepEqual(delivered, []);
    t.deepEqual(await left(bucket), { objects: 1, uploads: 0 });
  });

  /** Half of an announced body. */
  async function sendHalf({ service, id }: Watched, bytes: Buffer): Promise<ClientRequest> {
    const outgoing = request(`${service.url}/v1/packages/${id}/files/f?digest=${sha256(bytes)}`, {
      method: 'PUT',
      headers: { 'content-length': bytes.length },
    });
    outgoing.on('error', () => {});
    outgoing.write(bytes.subarray(0, bytes.length / 2));
    return outgoing;
  }

  /** What the next body's streaming comes to: the first bytes have gone to storage; it has ended. */
  function streaming({ service }: Watched): { begun: Promise<void>; ended: Promise<void> } {
    const { blobs } = service.services;
    const streamPart = blobs.uploads.streamPart.bind(blobs.uploads);
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    blobs.uploads.streamPart = async (upload, part, body) => {
      const watched = async function* (): AsyncGenerator<Uint8Array> {
        let chunks = 0;
        for await (const chunk of body) {
          yield chunk;
          chunks += 1;
          // One is held back.
          if (chunks === 3) begun.resolve();
        }
      };
      await streamPart(upload, part, watched()).finally(() => ended.resolve());
    };
    return { begun: begun.promise, ended: ended.promise };
  }

  test.serial('a client that goes away while it streams leaves nothing', async (t) => {
    const watched = await start(t);
    const { begun, ended } = streaming(watched);
    const bytes = randomBytes(PART);
    const outgoing = await sendHalf(watched, bytes);
    await begun;
    t.deepEqual(await left(watched.bucket), { objects: 0, uploads: 1 });
    outgoing.destroy();
    await ended;
    for (let tries = 0; (await left(watched.bucket)).uploads > 0 && tries < 1_000; tries += 1) await sleep(10);
    t.deepEqual(await left(watched.bucket), { objects: 0, uploads: 0 });
    t.deepEqual((await watched.api.get(`/v1/packages/${watched.id}/files`)).body.items, []);
    const url = `/v1/packages/${watched.id}/files/f?digest=${sha256(bytes)}`;
    t.is((await watched.api.call('PUT', url, bytes)).status, 201);
  });

  test.serial(
    'the registry knows of what streams before storage does; recovery aborts what a crash leaves',
    async (t) => {
      const watched = await start(t);
      const { service, bucket, api, id } = watched;
      const { blobs, registry } = service.services;
      const createUpload = blobs.uploads.create.bind(blobs.uploads);
      let known = '';
      blobs.uploads.create = async (key, uploadId) => {
        known = (await registry.read.uploads.get(uploadId))?.state ?? 'unknown';
        return createUpload(key, uploadId);
      };
      // As after kill -9: nobody is left to tell storage.
      const abort = blobs.uploads.abort.bind(blobs.uploads);
      const told = Promise.withResolvers<void>();
      blobs.uploads.abort = async () => {
        told.resolve();
        throw new StoreError('unavailable', 'as the test wants it');
      };
      const { begun } = streaming(watched);
      const outgoing = await sendHalf(watched, randomBytes(PART));
      await begun;
      t.is(known, 'open');
      outgoing.destroy();
      await told.promise;
      t.deepEqual(await left(bucket), { objects: 0, uploads: 1 });
      blobs.uploads.abort = abort;
      service.sleepDays(2);
      await recover(service.services);
      t.deepEqual(await left(bucket), { objects: 0, uploads: 0 });
      t.deepEqual((await api.get(`/v1/packages/${id}/files`)).body.items, []);
    },
  );

  test.serial('a length above the limit is refused before a byte arrives', async (t) => {
    const { service, id } = await start(t);
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-length': LIMITS.object_size_max + 1 };
      const outgoing = request(`${service.url}/v1/packages/${id}/files/f`, { method: 'PUT', headers }, (answer) => {
        resolve(answer.statusCode);
        outgoing.destroy();
      });
      outgoing.on('error', reject).flushHeaders();
    });
    t.is(status, 413);
  });
}
