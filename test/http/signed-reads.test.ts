import test from 'ava';
import { attackSignedRanges, sharePack, tryUnsignedRanges } from '../suites/signed-reads.ts';
import { apiOf } from '../support/api.ts';
import { startTestService } from '../support/service.ts';

test('a URL signed for a range returns only that range, whatever headers come with it', async (t) => {
  t.timeout(120_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const pack = await sharePack(service);
  t.is(pack.ranges.length, 2);
  await attackSignedRanges(t, pack);
});

test('a URL signed for the whole object, and a file, return any range', async (t) => {
  t.timeout(120_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const pack = await sharePack(service);
  const [whole] = (await api.post(`/v1/packages/${pack.whole}/downloads`)).body.objects;
  await tryUnsignedRanges(t, whole.url, pack.bytes);
  await tryUnsignedRanges(t, `${service.url}/v1/packages/${pack.whole}/files/secret`, Buffer.from('secret'));
});

test('the folder is never a redirect, also when one is asked for', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.preserve({ f: 'here', large: 'x'.repeat(9 * 1024 ** 2) });
  for (const path of ['f', 'large']) {
    for (const query of ['', '?redirect=true', '?redirect=false']) {
      const answer = await api.get(`/v1/packages/${id}/files/${path}${query}`);
      t.is(answer.status, 200, path + query);
    }
  }
});

test('no page of another site can load an answer', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.preserve({ f: 'evidence' });
  const [{ url }] = (await api.post(`/v1/packages/${id}/downloads`)).body.objects;
  const at = `/v1/packages/${id}`;
  for (const path of [
    `${at}/files/f`,
    `${at}/manifest`,
    `${at}/manifest?format=sha256sum`,
    url,
    at,
    `${at}/files/none`,
    '/docs',
  ]) {
    const { headers } = await api.get(path);
    t.is(headers.get('cross-origin-resource-policy'), 'same-origin', path);
    t.is(headers.get('x-content-type-options'), 'nosniff', path);
  }
});
