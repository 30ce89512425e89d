import { request } from 'node:http';
import type { PartRequest, PlannedUpload } from '../../../src/api/types.ts';
import { apiOf } from '../../support/api.ts';
import { planOne } from '../../support/one-upload.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const TYPE = { 'content-type': 'application/octet-stream' };

/** Part URLs of a store whose parts the service takes itself. Those of a bucket are attacked in test/ceph/s3-store.test.ts. */
export function partUrlsSuite(startTestService: StartTestService): void {
  const limits = { url_lifetime: 3600 };
  const test = testOfService(startTestService, { limits });

  test('a part URL accepts exactly its bytes, and ends with its upload', async (t) => {
    const { api, service } = t.context;
    const bytes = Buffer.from('exactly these bytes');
    const { upload } = await planOne(api, bytes);
    const part = upload.parts[0] as PartRequest;
    const put = async (url: string, body: Buffer, method = 'PUT') => {
      const answer = await api.call(method, url, method === 'GET' ? undefined : body, TYPE);
      return [answer.status, answer.body.code];
    };
    t.deepEqual(await put(part.url, Buffer.from('exactly those bytes')), [400, 'part_digest_mismatch']);
    t.deepEqual(await put(part.url, Buffer.from('short')), [400, 'body_length_mismatch']);
    t.deepEqual(await put(part.url, Buffer.from('exactly these bytes and more')), [400, 'body_length_mismatch']);
    t.deepEqual(await put(part.url, Buffer.alloc(0)), [400, 'body_length_mismatch']);
    const url = new URL(part.url);
    for (const [name, value] of [
      ['expires', String(Number(url.searchParams.get('expires')) + 1)],
      ['signature', 'AAAA'],
    ] as const) {
      const altered = new URL(part.url);
      altered.searchParams.set(name, value);
      t.deepEqual(await put(altered.href, bytes), [403, 'invalid_signature']);
    }
    t.deepEqual(await put(part.url.replace('/parts/1', '/parts/2'), bytes), [403, 'invalid_signature']);
    t.deepEqual(await put(part.url.replace(/\?.*/, ''), bytes), [422, 'invalid_request']);
    t.deepEqual(await put(part.url, bytes, 'GET'), [405, 'method_not_allowed']);
    t.deepEqual(await put(part.url, bytes, 'POST'), [405, 'method_not_allowed']);
    const other = (await planOne(api, Buffer.from('another object here'))).upload.parts[0] as PartRequest;
    t.deepEqual(await put(other.url.replace(/\?.*/, url.search), bytes), [403, 'invalid_signature']);

    t.is((await api.send(part, bytes)).status, 200);
    await api.post(`/v1/uploads/${upload.upload_id}/commit`);
    t.deepEqual(await put(part.url, bytes), [404, 'upload_closed']);
    t.truthy(service);
  });

  test('a part is accepted only with the headers of its plan', async (t) => {
    const { api } = t.context;
    const bytes = Buffer.from('exactly so');
    const { upload } = await planOne(api, bytes);
    const part = upload.parts[0] as PartRequest;
    t.deepEqual(part.headers, { 'content-length': String(bytes.length), ...TYPE });
    for (const [headers, status, code] of [
      [{}, 403, 'invalid_signature'],
      [{ 'content-type': 'text/plain' }, 403, 'invalid_signature'],
      [{ 'content-type': `${TYPE['content-type']}; charset=x` }, 403, 'invalid_signature'],
      [{ ...TYPE, 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
    ] as Array<[Record<string, string>, number, string]>) {
      const answer = await api.call('PUT', part.url, bytes, headers);
      t.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(headers));
    }
    const chunked = (body: Buffer) =>
      new Promise<number>((resolve, reject) => {
        const sending = request(part.url, { method: 'PUT', headers: TYPE }, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        sending.on('error', reject);
        for (const byte of body) sending.write(Buffer.from([byte]));
        sending.end();
      });
    for (const body of [bytes, bytes.subarray(1)]) t.is(await chunked(body), 400, 'its length was signed');
    t.is((await api.get(`/v1/uploads/${upload.upload_id}`)).body.parts[0].received, false);
    t.is((await api.send(part, bytes)).status, 200);
  });

  test('an expired URL is reported as such, and a fresh one works; an expired upload is planned again', async (t) => {
    const service = await startTestService();
    const api = apiOf(service.url);
    const bytes = Buffer.from('too late');
    const { id, objects, upload } = await planOne(api, bytes);
    service.sleepDays(1);
    const part = upload.parts[0] as PartRequest;
    const late = await api.send(part, bytes);
    t.is(late.status, 403);
    t.is(late.body.code, 'url_expired');
    const fresh = (await api.post(`/v1/uploads/${upload.upload_id}/urls`, { parts: [1] })).body.parts[0] as PartRequest;
    t.is((await api.send(fresh, bytes)).status, 200);
    service.sleepDays(8);
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_abandoned');
    const next = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0] as PlannedUpload;
    t.not(next.upload_id, upload.upload_id);
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/urls`, { parts: [1] })).body.code, 'upload_closed');
    await service.dispose();
  });
}
