import test from 'ava';
import type { PlannedUpload } from '../../src/api/types.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { planDownloads } from '../../src/usecases/plan-downloads.ts';
import type { Caller } from '../../src/usecases/services.ts';
import { type Api, apiOf } from '../support/api.ts';
import { startCarelessGateway } from '../support/careless-gateway.ts';
import { packOf } from '../support/pack.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';

/** A bucket that gives more than the range that a URL was signed for (invariant 7). */
const started = await required('Ranges on a careless gateway', S3);
const server = started as S3Server;
const TEXTS = ['first', 'secret', 'last'];

async function packageOf(api: Api, producer: string, texts: string[]): Promise<PackageId> {
  const id = await api.create({ producer });
  const files = texts.map((text) => ({ path: text, digest: digestOf(text), size: Buffer.byteLength(text) }));
  await api.post(`/v1/packages/${id}/files`, { files });
  return id as PackageId;
}

async function sendPack(api: Api, id: PackageId, texts: string[]): Promise<void> {
  const { bytes, ...pack } = packOf(texts);
  const object = { digest: pack.digest, size: pack.size, members: pack.members };
  const planned = await api.post(`/v1/packages/${id}/uploads`, { objects: [object] });
  const [upload] = planned.body.uploads as PlannedUpload[];
  await api.send((upload as PlannedUpload).parts[0] as never, bytes);
  await api.post(`/v1/uploads/${upload?.upload_id}/commit`);
}

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test.serial(
    'where a URL is not kept to its range, who may not read a whole pack gets its own from the service',
    async (t) => {
      const gateway = await startCarelessGateway(server);
      t.teardown(() => gateway.close());
      const service = await startTestService({
        env: {
          ...s3Env(server, await createBucket(server)),
          ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: gateway.endpoint,
        },
      });
      t.teardown(() => service.dispose());
      const api = apiOf(service.url);
      const { capabilities } = (await api.get('/readyz')).body.blob_store;
      t.like(capabilities, { download_urls_work: true, download_range_enforced: false });

      const alice = await packageOf(api, 'alice', TEXTS);
      await sendPack(api, alice, TEXTS);
      // Mallory has two of the three as well.
      const theirs = await packageOf(api, 'mallory', ['first', 'last']);
      const mallory: Caller = { actor: 'mallory', reads: { producers: ['mallory'] } };
      const { downloads } = await planDownloads(service.services, mallory, theirs, { after: null, limit: 100 });
      t.is(downloads.length, 2);
      for (const { request, entries } of downloads) {
        const { url = '', headers = {} } = request ?? {};
        t.true(url.startsWith(service.url), url);
        const came = await fetch(url, { headers });
        t.is(came.status, 206);
        t.is(await came.text(), entries[0]?.path as string);
        for (const range of [undefined, 'bytes=0-99999', 'bytes=0-1023']) {
          const more = await fetch(url, range === undefined ? {} : { headers: { range } });
          t.is(more.status, 403, range ?? 'no range');
          t.false((await more.text()).includes('secret'));
        }
        t.is((await fetch(url.replace(/range=\d+/, 'range=0'), { headers })).status, 403);
      }
      const [whole] = (await api.post(`/v1/packages/${alice}/downloads`)).body.objects;
      t.true(whole.url.startsWith(gateway.endpoint), 'who may read all of it gets it from the bucket');
      t.true((await (await fetch(whole.url)).text()).includes('secret'));
      const part = await api.call('PUT', `/v1/uploads/upl_${alice.slice(4)}/parts/1?expires=1&signature=x`, 'x');
      t.is(part.body.code, 'route_not_found');
    },
  );
}
