import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { blobKey } from '../../src/blobs/key-layout.ts';
import { loadConfig } from '../../src/config.ts';
import { digestOf } from '../../src/core/digest.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import { type Service, startService } from '../../src/server.ts';
import { type Api, apiOf } from '../support/api.ts';
import { s3Env } from '../support/s3-env.ts';
import { tempFolder } from '../support/temp.ts';

/** A bucket that takes connections and never answers must not keep the service from its start, nor from its end. */
async function muteServer(t: ExecutionContext): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function start(t: ExecutionContext, endpoint: string, dataDir: string): Promise<{ service: Service; api: Api }> {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const config = loadConfig({
    ARTIFACT_STORE_PORT: '0',
    ARTIFACT_STORE_DATA_DIR: dataDir,
    ARTIFACT_STORE_LOG_LEVEL: 'silent',
    ...s3Env({ endpoint, region: 'us-east-1', credentials }, 'a-bucket'),
  });
  const service = await startService(config);
  t.teardown(() => service.stop());
  return { service, api: apiOf(service.url) };
}

/** An upload that recovery has to end in storage. */
async function leaveAborting({ services: { registry } }: Service, packageId: string): Promise<void> {
  const id = newId('upl', Date.now()) as UploadId;
  const digest = digestOf('x');
  const times = { created_at: 1, expires_at: 2 };
  const upload = {
    id,
    package_id: packageId as PackageId,
    channel: 'direct' as const,
    digest,
    size: 1,
    created_by: 'tests',
  };
  await registry.transaction(async ({ uploads }) => {
    const parts = [{ number: 1, digest, offset: 0, size: 1 }];
    await uploads.insert([{ ...upload, ...times, key: blobKey(digest, id), parts, members: null, stored: null }]);
    await uploads.setStorageIds([{ id, storageUploadId: 'theirs' }]);
    await uploads.move(id, 'open', 'aborting');
  });
}

test('with a bucket that never responds the service listens, reports what is under way, is not ready, and stops', async (t) => {
  const endpoint = await muteServer(t);
  const dataDir = await tempFolder(t);
  const first = await start(t, endpoint, dataDir);
  t.is((await first.api.get('/healthz')).status, 200);
  await leaveAborting(first.service, await first.api.create());
  await first.service.stop();

  const { service, api } = await start(t, endpoint, dataDir);
  t.is((await api.get('/healthz')).status, 200);
  const { status, body } = await api.get('/readyz');
  t.is(status, 503);
  t.deepEqual(body.under_way.toSorted(), ['identity', 'leftovers', 'probe', 'recovery']);
  t.like(body, { status: 'not_ready', registry: { ok: true }, blob_store: { ok: false } });
  t.regex(body.blob_store.error, /ETIMEDOUT/);
  t.is(body.blob_store.capabilities.part_digest_enforced, false, 'nothing is believed yet');
  // What needs no storage works.
  t.is((await api.post('/v1/packages', { name: 'n', producer: 'p' })).status, 201);
  await service.stop();
  await t.throwsAsync(() => api.get('/healthz'));
});
