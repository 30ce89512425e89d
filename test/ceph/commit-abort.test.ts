import test from 'ava';
import { apiOf } from '../support/api.ts';
import { onCeph } from '../support/ceph-service.ts';
import { plannedFile } from '../support/planned-file.ts';

/** On this Ceph an Abort that meets a Complete destroys the object, later and silently (s3-facts.test.ts). */
await onCeph('commit racing abort', (start, server) => {
  test('commit racing abort: the service sends one of them, and no object is lost', async (t) => {
    const service = await start();
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const { blobs } = service.services;
    const completeUpload = blobs.uploads.complete.bind(blobs.uploads);
    const kept: Array<[url: string, bytes: string]> = [];
    const ends: Record<string, number> = {};
    for (let n = 0; n < 20; n += 1) {
      const bytes = `bytes of race ${n}`;
      const { id, upload } = await plannedFile(api, bytes);
      const url = `/v1/uploads/${upload.upload_id}`;
      const abort = () => api.call('DELETE', url);
      let aborted: ReturnType<typeof abort> | undefined;
      blobs.uploads.complete = (...asked) => {
        aborted ??= abort();
        return completeUpload(...asked);
      };
      // Together, or the abort comes when the Complete is sent.
      if (n % 2 === 0) aborted = abort();
      await api.post(`${url}/commit`);
      await aborted;
      const { state } = (await api.get(url)).body;
      ends[state] = (ends[state] ?? 0) + 1;
      if (n % 2 === 1) t.is(state, 'committed');
      if (state === 'committed') kept.push([`/v1/packages/${id}/files/f`, bytes]);
      else t.is(state, 'aborted');
    }
    await server.collectGarbage();
    for (const [url, bytes] of kept) t.is((await api.get(url)).body, bytes);
    t.log(JSON.stringify(ends));
  });
});
