import test, { type ExecutionContext } from 'ava';
import { attackSignedRanges, sharePack, tryUnsignedRanges } from '../suites/signed-reads.ts';
import { apiOf } from '../support/api.ts';
import { type CarelessGateway, startCarelessGateway } from '../support/careless-gateway.ts';
import { sampled } from '../support/long.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';

/** A bucket that gives more than the range that a URL was signed for (invariant 7). */
const started = await required('Ranges on a careless gateway', S3);
const server = started as S3Server;

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  async function attackOn(t: ExecutionContext, carelessness: Partial<CarelessGateway>): Promise<void> {
    t.timeout(180_000);
    const gateway = await startCarelessGateway(server);
    Object.assign(gateway, carelessness);
    t.teardown(() => gateway.close());
    const service = await startTestService({
      env: { ...s3Env(server, await createBucket(server)), ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: gateway.endpoint },
    });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const { capabilities } = (await api.get('/readyz')).body.blob_store;
    t.like(capabilities, { download_urls_work: true, download_range_enforced: false });

    const pack = await sharePack(service);
    t.is(pack.ranges.length, 2);
    for (const { request } of pack.ranges) {
      const { url = '', headers = {} } = request ?? {};
      t.true(url.startsWith(service.url), url);
      t.is((await fetch(url.replace(/range=\d+/, 'range=0'), { headers })).status, 403);
    }
    await attackSignedRanges(t, pack);
    const [whole] = (await api.post(`/v1/packages/${pack.whole}/downloads`)).body.objects;
    t.true(whole.url.startsWith(gateway.endpoint), 'who may read all of it gets it from the bucket');
    t.true((await (await fetch(whole.url)).text()).includes('secret'));
    await tryUnsignedRanges(t, `${service.url}/v1/packages/${pack.whole}/files/secret`, Buffer.from('secret'));
    const part = await api.call('PUT', `/v1/uploads/upl_${pack.whole.slice(4)}/parts/1?expires=1&signature=x`, 'x');
    t.is(part.body.code, 'route_not_found');
  }

  const rows: ReadonlyArray<readonly [title: string, carelessness: Partial<CarelessGateway>]> = [
    [
      'if a URL is not limited to its range, a caller that may not read a whole pack gets its own ranges from the service',
      { careless: true },
    ],
    ['the same if If-Range overrides the range that a URL was signed for', { careless: false, liftsRanges: true }],
  ];
  for (const [title, carelessness] of sampled(rows)) test.serial(title, attackOn, carelessness);
}
