import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { Client as Witness } from 'minio';
import { EXIT } from '../../cli/errors.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { startCarelessGateway } from '../support/careless-gateway.ts';
import { runCli } from '../support/cli-child.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

/** The whole service on PostgreSQL and a real S3 server: the same command line, the same answers. */
const server = await required('The service on PostgreSQL and S3', S3);
const postgres = server && (await required('The service on PostgreSQL and S3', POSTGRES));

/** Another implementation of S3's client. */
function witnessOf({ endpoint, region, credentials }: S3Server): Witness {
  const { hostname: endPoint, port } = new URL(endpoint);
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
  return new Witness({ endPoint, port: Number(port), useSSL: false, accessKey, secretKey, region });
}

if (server && postgres) {
  test.after.always('the S3 server ends', () => server.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());

  test.serial('a directory goes straight into Ceph and comes back byte for byte', async (t) => {
    const bucket = await createBucket(server);
    const recorder = await startCarelessGateway(server);
    recorder.careless = false;
    t.teardown(() => recorder.close());
    const env = {
      ARTIFACT_STORE_DATABASE_URL: await postgres.createDatabase(),
      ...s3Env(server, bucket),
      ...uploadKeyEnv(server),
      ARTIFACT_STORE_S3_ENDPOINT: recorder.endpoint,
      ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: server.endpoint,
      ARTIFACT_STORE_S3_PREFIX: 'preserved',
    };
    const limits = { single_part_max: 16 * 1024 ** 2, part_size: 8 * 1024 ** 2 };
    const service = await startTestService({ env, limits });
    try {
      const api = apiOf(service.url);
      const ready = (await api.get('/readyz')).body;
      t.is(ready.status, 'ready', JSON.stringify(ready));
      t.is(ready.registry.kind, 'postgres');
      t.like(ready.blob_store, { kind: 's3', ok: true });
      t.true(ready.blob_store.capabilities.part_digest_enforced, 'proved by attacking it');

      const dir = await tempFolder(t);
      const run = join(dir, 'run');
      const files: Record<string, Buffer> = {
        'empty.log': Buffer.alloc(0),
        'with blank/ä.txt': Buffer.from('small'),
        'one-part.bin': randomBytes(9 * 1024 ** 2),
        'parts.bin': randomBytes(20 * 1024 ** 2),
      };
      for (const [path, bytes] of Object.entries(files)) {
        await mkdir(dirname(join(run, path)), { recursive: true });
        await writeFile(join(run, path), bytes);
      }
      const args = ['--producer', 'ceph', '--external-id', 'run-1', '--json', '--url', service.url];
      const cache = { env: { XDG_CACHE_HOME: join(dir, 'cache') } };
      const pushed = await runCli(['push', run, ...args], cache);
      t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
      const { package_id, status, manifest_digest } = JSON.parse(pushed.stdout);
      t.is(status, 'finalized');
      // What the service asked of storage for a file: a list of parts is no read.
      const asked = (path: string, method: string) =>
        recorder.seen.filter(
          (each) =>
            each.startsWith(`${method} `) &&
            each.includes(sha256(files[path] as Buffer).slice('sha256:'.length)) &&
            (method !== 'GET' || !each.includes('uploadId=')),
        ).length;
      for (const path of ['one-part.bin', 'parts.bin']) t.is(asked(path, 'POST'), 2, `${path}: opened and completed`);
      t.is(asked('one-part.bin', 'GET'), 0, 'one part on a backend that enforces: committed without any read of it');
      t.is(asked('parts.bin', 'GET'), 1, 'many parts: read back once');
      const again = await runCli(['push', run, ...args], cache);
      t.true(JSON.parse(again.stdout).reused);
      const pulled = await runCli(['pull', package_id, join(dir, 'copy'), '--url', service.url]);
      t.is(pulled.code, 0, pulled.stderr);
      const verified = await runCli(['verify', package_id, '--against', join(dir, 'copy'), '--url', service.url]);
      t.is(verified.code, 0, verified.stderr);

      // Large files come from the bucket itself, by a signed URL that gives an attachment.
      const redirect = await api.get(`/v1/packages/${package_id}/files/one-part.bin`);
      t.is(redirect.status, 307);
      const direct = await fetch(redirect.headers.get('location') as string);
      t.is(sha256(Buffer.from(await direct.arrayBuffer())), sha256(files['one-part.bin'] as Buffer));
      t.regex(direct.headers.get('content-disposition') ?? '', /attachment/);
      const through = await fetch(`${service.url}/v1/packages/${package_id}/files/one-part.bin?redirect=false`, {
        headers: { range: 'bytes=5-9' },
      });
      t.deepEqual(Buffer.from(await through.arrayBuffer()), (files['one-part.bin'] as Buffer).subarray(5, 10));

      // Bytes through the service, and bytes that the store has.
      const id = await api.create({ producer: 'ceph' });
      t.is((await api.call('PUT', `/v1/packages/${id}/files/curl.txt`, 'by curl')).status, 201);
      t.is((await api.call('PUT', `/v1/packages/${id}/files/same.txt`, 'small')).status, 201);
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
      t.is((await api.get(`/v1/packages/${id}/files/curl.txt`)).body, 'by curl');

      // An independent client sees one object for each blob, and the manifest as it was sealed.
      const witness = witnessOf(server);
      const names: string[] = [];
      for await (const object of witness.listObjectsV2(bucket, '', true)) names.push((object as { name: string }).name);
      t.is(names.filter((name) => name.startsWith('preserved/objects/')).length, 4);
      t.is(names.filter((name) => /manifest\.json$/.test(name)).length, 2);
      t.is(names.filter((name) => /\/decisions\/evt_\w+\.json$/.test(name)).length, 2);
      t.is(names.filter((name) => /attestation\.json$/.test(name)).length, 2);
      t.is(names.filter((name) => /^preserved\/keys\/[0-9a-f]{64}\.pem$/.test(name)).length, 1);
      t.is(names.filter((name) => name === 'preserved/store.json').length, 1);
      t.is(names.length, 12, 'nothing else is left');
      const manifest = await text(await witness.getObject(bucket, `preserved/packages/${package_id}/manifest.json`));
      t.is(sha256(manifest), manifest_digest);
    } finally {
      await service.dispose();
    }
  });

  test.serial('bytes that another client changed in the bucket are found by verify, by name', async (t) => {
    const bucket = await createBucket(server);
    const service = await startTestService({
      env: {
        ...s3Env(server, bucket),
      },
    });
    try {
      const spoilt = randomBytes(1_000);
      const id = await apiOf(service.url).preserve({ 'kept.bin': randomBytes(1_000), 'spoilt.bin': spoilt });
      const verify = () => runCli(['verify', id, '--json', '--url', service.url]);
      t.is((await verify()).code, 0);
      const witness = witnessOf(server);
      for await (const { name } of witness.listObjectsV2(bucket, 'objects/', true)) {
        if (!name.includes(sha256(spoilt).slice('sha256:'.length))) continue;
        spoilt[500] = (spoilt[500] as number) ^ 1;
        await witness.putObject(bucket, name, spoilt);
        break;
      }
      const { code, stdout, stderr } = await verify();
      t.is(code, EXIT.integrity, stdout + stderr);
      t.regex(stdout, /spoilt\.bin/);
      t.notRegex(stdout, /kept\.bin/);
    } finally {
      await service.dispose();
    }
  });

  test.serial('two replicas on one database and one bucket share a push between them', async (t) => {
    const env = {
      ARTIFACT_STORE_DATABASE_URL: await postgres.createDatabase(),
      ARTIFACT_STORE_SIGNING_KEY: randomBytes(24).toString('hex'),
      ...s3Env(server, await createBucket(server)),
    };
    const replicas = [await startTestService({ env }), await startTestService({ env })];
    try {
      let turn = 0;
      // Every call goes to the other replica.
      const next = () => apiOf((replicas[turn++ % 2] as (typeof replicas)[number]).url);
      const id = await next().create({ producer: 'replicas' });
      const bytes = randomBytes(1_000);
      const object = { digest: sha256(bytes), size: bytes.length };
      await next().post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
      const [upload] = (await next().post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
      t.is((await next().send(upload.parts[0], bytes)).status, 200);
      const commits = await Promise.all(
        Array.from({ length: 6 }, () => next().post(`/v1/uploads/${upload.upload_id}/commit`)),
      );
      t.true(
        commits.every(({ status }) => status === 200 || status === 202),
        JSON.stringify(commits.map(({ body }) => body)),
      );
      const finals = await Promise.all(Array.from({ length: 4 }, () => next().post(`/v1/packages/${id}/finalize`)));
      t.deepEqual([...new Set(finals.map(({ status, body }) => `${status} ${body.status}`))], ['200 finalized']);
      const listed = await next().get('/v1/packages?limit=1');
      t.is(listed.body.items[0].id, id);
      t.is((await next().get(`/v1/audit?package_id=${id}&action=upload.committed`)).body.items.length, 1);
    } finally {
      for (const replica of replicas) await replica.dispose();
    }
  });
}
