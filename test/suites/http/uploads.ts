import type { PartRequest, PlannedUpload } from '../../../src/api/types.ts';
import type { PackageId, UploadId } from '../../../src/core/ids.ts';
import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { handleOf } from '../../../src/usecases/name-in-storage.ts';
import { readFile } from '../../../src/usecases/read-file.ts';
import type { UploadRecord } from '../../../src/usecases/records.ts';
import { type Answer, apiOf, sha256 } from '../../support/api.ts';
import { planOne, sliceOf } from '../../support/one-upload.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** @param part bytes of a part: as few as the storage takes, for S3 5 MiB */
export function uploadsSuite(startTestService: StartTestService, part = 40): void {
  const limits = { single_part_max: part * 2.5, part_size: part, min_part_size: Math.ceil(part / 4) };
  const test = testOfService(startTestService, { limits });
  /** So many parts of bytes, that no other test has. */
  const bytesOf = (title: string, parts: number) =>
    Buffer.concat([Buffer.from(title), Buffer.alloc(part * parts, 'parts ')]).subarray(0, part * parts);

  test('one part: plan, send, commit, and the file is stored; committing again returns the same', async (t) => {
    const { api } = t.context;
    const bytes = Buffer.from('one part');
    const { id, upload } = await planOne(api, bytes);
    t.is(upload.state, 'open');
    t.is(upload.parts.length, 1);
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_incomplete');
    t.is((await api.send(upload.parts[0] as PartRequest, bytes)).status, 200);
    for (let n = 0; n < 3; n++) {
      const committed = await api.post(`/v1/uploads/${upload.upload_id}/commit`, {});
      t.is(committed.status, 200);
      t.is(committed.body.state, 'stored');
    }
    t.is((await api.get(`/v1/packages/${id}/files/f`)).body, 'one part');
    t.is((await api.get(`/v1/uploads/${upload.upload_id}`)).body.state, 'committed');
  });

  test('an upload that storage has lost, as when the registry is from a backup, is given up when its object is planned again', async (t) => {
    const { api, service } = t.context;
    const { registry, blobs } = service.services;
    const bytes = bytesOf('lost', 2);
    const { id, objects, upload } = await planOne(api, bytes, part);
    const [first, second] = upload.parts as [PartRequest, PartRequest];
    t.is((await api.send(first, sliceOf(bytes, first))).status, 200);
    const lost = (await registry.read.uploads.get(upload.upload_id as UploadId)) as UploadRecord;
    await blobs.uploads.abort(handleOf(lost));
    t.not((await api.send(second, sliceOf(bytes, second))).status, 200);
    t.is((await api.post(`/v1/uploads/${lost.id}/commit`)).body.code, 'upload_incomplete');
    t.is((await api.post(`/v1/uploads/${lost.id}/urls`, { parts: [2] })).body.code, 'upload_closed');

    const again = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0] as PlannedUpload;
    t.not(again.upload_id, lost.id);
    t.deepEqual(
      again.parts.map(({ received }) => received),
      [false, false],
    );
    t.regex((await registry.read.uploads.get(lost.id))?.state ?? '', /^abort(ing|ed)$/);
    const { items } = (await api.get(`/v1/audit?package_id=${id}&action=upload.aborted`)).body;
    t.like(items, [{ subject_id: lost.id }]);
    t.regex(items[0].reason, /^Storage no longer has it/);
    for (const each of again.parts) t.is((await api.send(each, sliceOf(bytes, each))).status, 200);
    t.is((await api.post(`/v1/uploads/${again.upload_id}/commit`, {})).body.state, 'stored');
    t.is((await api.get(`/v1/packages/${id}/files`)).body.items[0].state, 'stored');
  });

  test('uploads that end one after the other while a plan looks at them do not end the plan', async (t) => {
    const { api, service } = t.context;
    const { uploads } = service.services.blobs;
    const contents = ['ends first', 'ends second'].map((text) => Buffer.from(text));
    const objects = contents.map((bytes) => ({ digest: sha256(bytes), size: bytes.length }));
    const id = await api.create();
    await api.post(`/v1/packages/${id}/files`, {
      files: objects.map((object, nth) => ({ path: `f${nth}`, ...object })),
    });
    const plan = async () =>
      (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads as PlannedUpload[];
    const [first, second] = (await plan()) as [PlannedUpload, PlannedUpload];
    // As it is when another client commits one during each look.
    const gone = new Map([
      [first.upload_id, 1],
      [second.upload_id, 2],
    ]);
    const looks = new Map<string, number>();
    const { listParts } = uploads;
    uploads.listParts = async (upload) => {
      const look = (looks.get(upload.id) ?? 0) + 1;
      looks.set(upload.id, look);
      return gone.get(upload.id) === look ? null : listParts(upload);
    };
    t.teardown(() => {
      uploads.listParts = listParts;
    });
    const again = await plan();
    t.not(again[0]?.upload_id, first.upload_id);
    t.is(again[1]?.upload_id, second.upload_id, 'it says itself what has become of it');
    for (const [nth, { upload_id, parts }] of again.entries()) {
      t.is((await api.send(parts[0] as PartRequest, contents[nth] as Buffer)).status, 200);
      t.is((await api.post(`/v1/uploads/${upload_id}/commit`, {})).body.state, 'stored');
    }
  });

  test('many parts, in any order, lost ones again; planning again gives the same upload with the received marked', async (t) => {
    const { api } = t.context;
    const bytes = bytesOf('any order', 6.25);
    const { id, objects, upload } = await planOne(api, bytes, part);
    t.is(upload.parts.length, 7);
    for (const part of upload.parts.slice(3).toReversed())
      t.is((await api.send(part, sliceOf(bytes, part))).status, 200);
    const again = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0] as PlannedUpload;
    t.is(again.upload_id, upload.upload_id);
    t.deepEqual(
      again.parts.map((part) => part.received),
      [false, false, false, true, true, true, true],
    );
    t.deepEqual(
      (await api.get(`/v1/uploads/${upload.upload_id}`)).body.parts.map((part: { received: boolean }) => part.received),
      again.parts.map((p) => p.received),
    );
    t.like((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body, {
      code: 'upload_incomplete',
      missing_parts: [1, 2, 3],
    });
    const fresh = (await api.post(`/v1/uploads/${upload.upload_id}/urls`, { parts: [1, 2, 3] })).body
      .parts as PartRequest[];
    for (const part of fresh) t.is((await api.send(part, sliceOf(bytes, part))).status, 200);
    t.is(
      (await api.send(fresh[0] as PartRequest, sliceOf(bytes, fresh[0] as PartRequest))).status,
      200,
      'a part again',
    );
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
    const response = await fetch(`${t.context.service.url}/v1/packages/${id}/files/f`);
    t.is(sha256(Buffer.from(await response.arrayBuffer())), sha256(bytes));
    t.deepEqual((await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0], {
      upload_id: null,
      digest: upload.digest,
      state: 'stored',
      parts: [],
    });
  });

  test('parts that are each right but make another object: 422 with both digests, and the file stays missing', async (t) => {
    const { api } = t.context;
    const bytes = bytesOf('another object', 3);
    const size = bytes.length;
    const id = await api.create();
    const digest = sha256('something else entirely');
    await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size }] });
    const parts = [0, 1, 2].map((n) => ({ digest: sha256(bytes.subarray(n * part, (n + 1) * part)), size: part }));
    const objects = [{ digest, size, parts }];
    const upload = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0] as PlannedUpload;
    for (const part of upload.parts) await api.send(part, sliceOf(bytes, part));
    for (let n = 0; n < 2; n++) {
      const answer = await api.post(`/v1/uploads/${upload.upload_id}/commit`);
      t.is(answer.status, 422);
      t.like(answer.body, { code: 'digest_mismatch', expected_digest: digest, actual_digest: sha256(bytes) });
    }
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    const next = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0] as PlannedUpload;
    t.not(next.upload_id, upload.upload_id, 'a failed upload is never handed out again');
  });

  test('racing commits complete once, and all return stored', async (t) => {
    const { api } = t.context;
    const bytes = bytesOf('racing', 2.25);
    const { id, upload } = await planOne(api, bytes, part);
    for (const part of upload.parts) await api.send(part, sliceOf(bytes, part));
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.post(`/v1/uploads/${upload.upload_id}/commit`)),
    );
    t.deepEqual([...new Set(answers.map((answer) => `${answer.status} ${answer.body.state}`))], ['200 stored']);
    t.is((await api.get(`/v1/audit?package_id=${id}&action=upload.committed`)).body.items.length, 1);
  });

  test('a commit that waited for one whose claim failed claims the upload itself', async (t) => {
    const service = await startTestService({ limits });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const bytes = bytesOf('joining', 1);
    const { upload } = await planOne(api, bytes, part);
    for (const part of upload.parts) await api.send(part, sliceOf(bytes, part));
    const { registry, running } = service.services;
    const { transaction } = registry;
    let joined: Promise<Answer> | undefined;
    registry.transaction = async () => {
      registry.transaction = transaction;
      const looking = running.get;
      const looked = new Promise<void>((resolve) => {
        running.get = (id) => {
          resolve();
          return looking.call(running, id);
        };
      });
      joined = api.post(`/v1/uploads/${upload.upload_id}/commit`);
      await looked;
      running.get = looking;
      throw new Error('the registry was away');
    };
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 500);
    t.like(await joined, { status: 200, body: { state: 'stored' } });
    t.is(running.size, 0);
  });

  test('aborting ends an upload, repeating it is not an error, and a commit cannot follow', async (t) => {
    const { api } = t.context;
    const { upload } = await planOne(api, Buffer.from('never mind'));
    const url = `/v1/uploads/${upload.upload_id}`;
    t.is((await api.call('DELETE', url)).body.state, 'aborted');
    t.is((await api.call('DELETE', url)).body.state, 'aborted');
    t.is((await api.post(`${url}/commit`)).body.code, 'upload_abandoned');
    t.true((await api.send(upload.parts[0] as PartRequest, Buffer.from('never mind'))).status >= 400);
  });

  const BAD_PLANS: Array<[string, (digest: string) => object, string]> = [
    [
      'parts that do not sum',
      (digest) => ({ digest, size: 60, parts: [{ digest: sha256('p'), size: 40 }] }),
      'invalid_parts',
    ],
    [
      'one part with another digest',
      (digest) => ({ digest, size: 60, parts: [{ digest: sha256('p'), size: 60 }] }),
      'invalid_parts',
    ],
    ['another size than was registered', (digest) => ({ digest, size: 61 }), 'object_not_registered'],
    ['an object that no file has', () => ({ digest: sha256('nobody'), size: 60 }), 'object_not_registered'],
    ['a pack without members', (digest) => ({ digest, size: 60, members: [] }), 'invalid_pack'],
  ];
  for (const [what, object, code] of BAD_PLANS) {
    test(`planning ${what} is refused with ${code}`, async (t) => {
      const { api } = t.context;
      const id = await api.create();
      const digest = sha256(what);
      await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: 60 }] });
      const answer = await api.post(`/v1/packages/${id}/uploads`, { objects: [object(digest)] });
      t.is(answer.status, 422);
      t.is(answer.body.code, code);
    });
  }

  test('above single_part_max the parts must be listed', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const tooMuch = limits.single_part_max + 1;
    await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest: sha256('big'), size: tooMuch }] });
    const answer = await api.post(`/v1/packages/${id}/uploads`, {
      objects: [{ digest: sha256('big'), size: tooMuch }],
    });
    t.is(answer.body.code, 'parts_required');
  });

  test('a second package with the same bytes sends nothing; two at once keep one object', async (t) => {
    const { api, service } = t.context;
    const bytes = Buffer.from('shared by many');
    const both = await Promise.all([planOne(api, bytes), planOne(api, bytes)]);
    await Promise.all(both.map(({ upload }) => api.send(upload.parts[0] as PartRequest, bytes)));
    const commits = await Promise.all(both.map(({ upload }) => api.post(`/v1/uploads/${upload.upload_id}/commit`)));
    t.deepEqual(
      commits.map((answer) => answer.status),
      [200, 200],
    );
    for (const { id } of both) t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    const keys: string[] = [];
    for await (const { key } of service.services.blobs.objects.list('objects/'))
      if (key.includes(sha256(bytes).slice(7))) keys.push(key);
    t.is(keys.length, 1);
    const third = await api.create();
    const registered = await api.post(`/v1/packages/${third}/files`, {
      files: [{ path: 'x', digest: sha256(bytes), size: bytes.length }],
    });
    t.is(registered.body.files[0].state, 'stored');
  });

  test('a lie about the size of a known digest proves nothing', async (t) => {
    const { api } = t.context;
    await api.preserve({ f: 'known bytes' });
    const id = await api.create();
    const digest = sha256('known bytes');
    const files = [
      { path: 'a', digest, size: 12 },
      { path: 'b', digest, size: 11 },
    ];
    const answer = await api.post(`/v1/packages/${id}/files`, { files });
    t.deepEqual(
      answer.body.files.map((entry: { state: string }) => entry.state),
      ['missing', 'stored'],
    );
  });

  test('downloads name each object once and give back every byte, empty files too', async (t) => {
    const { api } = t.context;
    const files = { a: 'same', 'b/c': 'same', d: 'other', empty: '' };
    const id = await api.preserve(files);
    const { body } = await api.post(`/v1/packages/${id}/downloads`, {});
    t.is(body.next_cursor, null);
    t.is(body.objects.length, 3);
    const got: Record<string, string> = {};
    for (const object of body.objects) {
      const bytes = Buffer.from(await (await fetch(object.url, { headers: object.headers })).arrayBuffer());
      for (const entry of object.entries)
        got[entry.path] = bytes.subarray(entry.offset, entry.offset + entry.size).toString();
    }
    t.deepEqual(got, files);
    const some = await api.post(`/v1/packages/${id}/downloads`, { paths: ['d'] });
    t.is(some.body.objects.length, 1);
    t.is((await api.post(`/v1/packages/${id}/downloads`, { paths: ['nope'] })).body.code, 'file_not_found');
    const first = await api.post(`/v1/packages/${id}/downloads?limit=2`, {});
    t.is(first.body.objects[0].entries.length, 2);
    const rest = await api.post(`/v1/packages/${id}/downloads?limit=2&cursor=${first.body.next_cursor}`, {});
    t.deepEqual(
      rest.body.objects.flatMap((object: { entries: Array<{ path: string }> }) =>
        object.entries.map((entry) => entry.path),
      ),
      ['d', 'empty'],
    );
    const url = new URL(some.body.objects[0].url);
    url.pathname = new URL(body.objects[0].url).pathname;
    t.is(
      (await api.get(url.href)).status === 200 && url.href !== some.body.objects[0].url,
      false,
      'a signature is for one object',
    );
  });

  test('a plan with another size or other parts ends the previous open upload, and opens a right one', async (t) => {
    const { api } = t.context;
    const bytes = bytesOf('other parts', 3);
    const half = bytes.length / 2;
    const { id, digest, upload } = await planOne(api, bytes, part);
    const parts = [
      { digest: sha256(bytes.subarray(0, half)), size: half },
      { digest: sha256(bytes.subarray(half)), size: half },
    ];
    const again = await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size: bytes.length, parts }] });
    const other = again.body.uploads[0] as PlannedUpload;
    t.not(other.upload_id, upload.upload_id);
    t.deepEqual(
      other.parts.map((part) => part.size),
      [half, half],
    );
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_abandoned');
    for (const part of other.parts) await api.send(part, sliceOf(bytes, part));
    t.is((await api.post(`/v1/uploads/${other.upload_id}/commit`)).status, 200);
  });

  test('a file that is replaced between its look-up and its reading is served as it was promised', async (t) => {
    const { api, service } = t.context;
    const id = await api.create();
    await api.store(id, { f: 'first' });
    const path = parseLogicalPath('f');
    const caller = { actor: 'reader', reads: { all: true as const }, scopes: SCOPES };
    const promised = await readFile(service.services, caller, id as PackageId, path);
    t.is((await api.call('PUT', `/v1/packages/${id}/files/f?replace=true`, 'a longer second')).status, 201);
    t.is(String(await promised.openWhole()), 'first');
  });

  test('bytes that storage lost are an integrity failure, never "not found"', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve({ f: 'soon lost' });
    for await (const { key } of service.services.blobs.objects.list('objects/')) {
      if (key.includes(sha256('soon lost').slice(7)))
        await service.services.blobs.objects.remove({ key, versionId: null });
    }
    const answer = await api.get(`/v1/packages/${id}/files/f`);
    t.is(answer.status, 500);
    t.is(answer.body.code, 'integrity_failure');
  });
}
