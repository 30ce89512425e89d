import test from 'ava';
import { ApiClient } from '../../cli/client/api/api-client.ts';
import { memoryObject } from '../../cli/client/push/objects.ts';
import { Uploader } from '../../cli/client/push/uploader.ts';
import type { Digest } from '../../src/core/digest.ts';
import type { Limits } from '../../src/core/limits.ts';
import { apiOf } from '../support/api.ts';
import { framedPack } from '../support/frames.ts';
import { packOf } from '../support/pack.ts';
import { startTestService } from '../support/service.ts';

const PACKS = ['abc', 'def', 'ghi', 'jkl'].map((letters) => packOf([...letters]));

for (const [members, calls] of [
  [3, 4],
  [5, 4],
  [6, 2],
  [11, 2],
  [12, 1],
] as const) {
  test(`four packs of three members are planned in ${calls} calls where one may have ${members}`, async (t) => {
    const service = await startTestService({ limits: { members_per_call: members, pack_members_max: 3 } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const id = await api.create();
    const files = PACKS.flatMap(({ members }) => members.map(({ digest, size }) => ({ path: digest, digest, size })));
    await api.post(`/v1/packages/${id}/files`, { files });
    const { signal } = new AbortController();
    const client = new ApiClient({ url: service.url, token: null, signal, userAgent: 'test' });
    t.teardown(() => client.close());
    const limits = (await api.get('/v1/limits')).body as Limits;
    t.is(limits.members_per_call, members);
    const uploader = new Uploader({ client, packageId: id, limits, parallel: 2 });
    t.teardown(() => uploader.close());
    await uploader.send(
      PACKS.map((pack) =>
        memoryObject(
          { ...pack, stored: null },
          { bytes: () => pack.bytes, hold: async () => {}, release: () => {} },
          String,
        ),
      ),
    );
    t.is((await api.get(`/v1/audit?package_id=${id}&action=upload.planned`)).body.items.length, calls);
    t.is((await api.post(`/v1/packages/${id}/finalize`, { file_count: 12 })).status, 200);
  });
}

test('the reported progress adds up to the files, however little of them is sent', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.create();
  const pack = framedPack(['one', 'two', 'three'].map((word) => `${word} `.repeat(500)));
  const files = pack.members.map(({ digest, size }) => ({ path: digest, digest, size }));
  const content = files.reduce((sum, { size }) => sum + size, 0);
  await api.post(`/v1/packages/${id}/files`, { files });
  const { signal } = new AbortController();
  const client = new ApiClient({ url: service.url, token: null, signal, userAgent: 'test' });
  t.teardown(() => client.close());
  const { stored_digest, stored_size, frames, digest, size, members = null } = pack.plan;
  const stored = {
    digest: stored_digest as Digest,
    size: stored_size,
    frames: new Uint8Array(Buffer.from(frames, 'base64')),
  };
  for (const [moved, there] of [
    [content, 0],
    [0, content],
  ]) {
    const limits = (await api.get('/v1/limits')).body as Limits;
    const uploader = new Uploader({ client, packageId: id, limits, parallel: 2 });
    const held = { bytes: () => pack.bytes, hold: async () => {}, release: () => {} };
    await uploader.send([memoryObject({ digest: digest as Digest, size, members, stored }, held, String)]);
    uploader.close();
    t.deepEqual(uploader.arrived, { moved, there } as never);
    t.is(uploader.totals.bytes, moved === 0 ? 0 : stored_size, 'what was sent is told as it was sent');
  }
});

test('a call with more members than one may have is refused', async (t) => {
  const service = await startTestService({ limits: { members_per_call: 5, pack_members_max: 3 } });
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.create();
  const objects = PACKS.slice(0, 2).map(({ digest, size, members }) => ({ digest, size, members }));
  const answer = await api.post(`/v1/packages/${id}/uploads`, { objects });
  t.is(answer.status, 422);
  t.regex(answer.body.detail, /6 members together; plan at most 5 per call/);
});
