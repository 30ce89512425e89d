import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import test from 'ava';
import { StoreError } from '../../src/core/errors.ts';
import { openLog } from '../../src/log.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { packOf } from '../support/pack.ts';
import { preservePacked } from '../support/packed-package.ts';
import { recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService } from '../support/service.ts';

test('while storage takes a file, its sender waits as long as it must', async (t) => {
  let socket: Socket | undefined;
  const seen: Array<number | undefined> = [];
  const { files } = recordingFileLayer((effect) => {
    if (effect.name === 'link' && effect.path.includes('/spool/')) seen.push(socket?.timeout);
  });
  const service = await startTestService({ files });
  t.teardown(() => service.dispose());
  const watch = (message: unknown): void => {
    const { request } = message as { request: IncomingMessage };
    if (request.method === 'PUT' && request.socket.localPort === Number(new URL(service.url).port))
      socket = request.socket;
  };
  subscribe('http.server.request.start', watch);
  t.teardown(() => unsubscribe('http.server.request.start', watch));
  const api = apiOf(service.url);
  const id = await api.create();
  t.is((await api.call('PUT', `/v1/packages/${id}/files/f`, randomBytes(100_000))).status, 201);
  t.true(seen.length > 0);
  t.deepEqual(seen.filter(Boolean), [], 'no limit on a silence that is the service’s own');
});

test('a completion that storage interrupts is logged, with its upload', async (t) => {
  const lines: Array<Record<string, unknown>> = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const service = await startTestService({ log: openLog('info', sink) });
  t.teardown(() => service.dispose());
  const { objects, uploads } = service.services.blobs;
  const open = objects.open.bind(objects);
  const complete = uploads.complete.bind(uploads);
  // As S3 does it with several parts: the object stands, and must be read back.
  uploads.complete = async (...args) => ({ ...(await complete(...args)), digest: null });
  objects.open = async () => {
    throw new StoreError('unavailable', 'The storage could not be reached.');
  };
  const api = apiOf(service.url);
  const id = await api.create();
  const commit = async (bytes: Buffer) => {
    const object = { digest: sha256(bytes), size: bytes.length };
    await api.post(`/v1/packages/${id}/files`, { files: [{ path: object.digest, ...object }] });
    const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
    t.is((await api.send(upload.parts[0], bytes)).status, 200);
    return { upload, answer: await api.post(`/v1/uploads/${upload.upload_id}/commit`) };
  };
  const broken = await commit(randomBytes(1_000));
  t.is(broken.answer.status, 202, 'not ended: recovery takes it up');
  const told = lines.filter(({ msg }) => String(msg).startsWith('the completion was interrupted'));
  t.like(told[0], { level: 50, upload: broken.upload.upload_id, err: { code: 'unavailable' } });
  t.is(told.length, 1);

  // What has an end of its own stands in the audit instead.
  objects.open = open;
  uploads.complete = async () => {
    throw new StoreError('unavailable', 'no clean answer');
  };
  t.is((await commit(randomBytes(1_000))).answer.status, 409);
  t.is(lines.filter(({ msg }) => String(msg).startsWith('the completion was interrupted')).length, 1);
});

test('while a large pack is read back, other packs and files are stored', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const { objects } = service.services.blobs;
  const open = objects.open.bind(objects);
  const othersAreStored = Promise.withResolvers<void>();
  const pack = packOf(Array.from({ length: 12 }, () => randomBytes(1024 ** 2)));
  objects.open = async (ref, range) => {
    const stream = await open(ref, range);
    if (!ref.key.includes(pack.digest.slice('sha256:'.length))) return stream;
    const held = async function* () {
      for await (const chunk of stream) {
        yield chunk;
        await othersAreStored.promise;
      }
    };
    return Readable.from(held());
  };
  const api = apiOf(service.url);
  const id = await api.create();
  const files = pack.members.map(({ digest, size }, n) => ({ path: `${n}`, digest, size }));
  t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
  const { digest, size, members } = pack;
  const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size, members }] })).body
    .uploads;
  t.is((await api.send(upload.parts[0], pack.bytes)).status, 200);
  const committing = api.post(`/v1/uploads/${upload.upload_id}/commit`);
  await preservePacked(api, [{ a: 'a', b: 'b' }]);
  othersAreStored.resolve();
  t.true([200, 202].includes((await committing).status));
  await service.services.running.get(upload.upload_id);
  t.is((await api.get(`/v1/uploads/${upload.upload_id}`)).body.state, 'committed');
});
