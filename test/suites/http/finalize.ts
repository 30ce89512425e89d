import { manifestKey, type ObjectKey } from '../../../src/blobs/key-layout.ts';
import { canonicalJson, type JsonObject } from '../../../src/core/canonical-json.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, sha256 } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** What is sealed is what the caller means, and a seal that was begun ends, whoever ends it. */
export function finalizeSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService, { limits: { min_part_size: 1 } });

  test('a digest over the list of files seals that list and no other', async (t) => {
    const { api } = t.context;
    const files = { 'b.txt': 'two', 'a/ä ö.txt': 'one', empty: '', 'back\\slash': 'three' };
    const id = await api.create();
    await api.store(id, files);
    const refused = await api.post(`/v1/packages/${id}/finalize`, { files_digest: sha256('another list') });
    t.like(refused, { status: 409, body: { code: 'list_mismatch', expected_digest: sha256('another list') } });
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading');
    const files_digest = refused.body.actual_digest;
    t.is((await api.post(`/v1/packages/${id}/finalize`, { files_digest, file_count: 4 })).status, 200);
    t.is(sha256((await api.get(`/v1/packages/${id}/manifest?format=sha256sum`)).body), files_digest);
    t.is((await api.post(`/v1/packages/${id}/finalize`, { files_digest })).status, 200, 'again, too');
    t.is((await api.post(`/v1/packages/${id}/finalize`, { files_digest: sha256('x') })).body.code, 'list_mismatch');
    t.is((await api.post(`/v1/packages/${id}/finalize`, { files_digest: 'sha256:x' })).body.code, 'invalid_digest');
  });

  test('what secrets the producer found becomes metadata with the seal, once', async (t) => {
    const { api } = t.context;
    const place = { path: 'a', line: 1, kind: 'password', accepted: false };
    const secrets = { count: 3, accepted: 1, by: { password: 3 }, places: [place] };
    const made = async (metadata: JsonObject, record: unknown = secrets) => {
      const id = await api.create({ metadata });
      await api.store(id, { a: 'A' });
      return { id, answer: await api.post(`/v1/packages/${id}/finalize`, { secrets: record }) };
    };
    const { id, answer } = await made({ run: { id: '7' } });
    t.is(answer.status, 200);
    const recorded = { run: { id: '7' }, secret_findings: secrets };
    t.deepEqual(answer.body.metadata, recorded);
    t.deepEqual((await api.get(`/v1/packages/${id}/manifest`)).body.package.metadata, recorded);
    for (const filter of ['run.id=7', 'secret_findings.by.password=3']) {
      const { items } = (await api.get(`/v1/packages?metadata.${filter}`)).body;
      t.true(
        items.some((item: { id: string }) => item.id === id),
        filter,
      );
    }
    const again = await api.post(`/v1/packages/${id}/finalize`, { secrets: { ...secrets, count: 4 } });
    t.like(again, { status: 200, body: { metadata: recorded } }, 'a sealed package stays what it is');

    const taken = await made({ secret_findings: 'mine' });
    t.like(taken.answer, { status: 422, body: { code: 'invalid_metadata' } });
    t.is((await api.get(`/v1/packages/${taken.id}`)).body.status, 'uploading');

    const many = { ...secrets, places: Array(100).fill({ ...place, path: 'p'.repeat(1_000) }) };
    const full = await made({ text: 'x'.repeat(200_000) }, many);
    t.deepEqual(full.answer.body.metadata.secret_findings, { ...secrets, places: [] }, 'what has no room is left out');
    t.deepEqual((await made({}, many)).answer.body.metadata.secret_findings, many);

    const by = Object.fromEntries(Array.from({ length: 101 }, (_, kind) => [`k${kind}`, 1]));
    for (const wrong of [{ ...secrets, by }, { ...secrets, count: 0 }, { ...secrets, text: 'x' }, { count: 1 }]) {
      t.is((await made({}, wrong)).answer.status, 422, JSON.stringify(wrong).slice(0, 60));
    }
  });

  test('files that change during the check are not sealed instead of the expected ones', async (t) => {
    const { api, service } = t.context;
    const id = await api.create();
    await api.store(id, { a: 'first', b: 'looked up' });
    const meant = (await api.post(`/v1/packages/${id}/finalize`, { files_digest: sha256('') })).body.actual_digest;
    let changed = 0;
    onLookUp(service, 'looked up', async () => {
      changed += 1;
      // As many files and bytes as before.
      if (changed === 1) t.is((await api.call('PUT', `/v1/packages/${id}/files/a?replace=true`, 'other')).status, 201);
    });
    const refused = await api.post(`/v1/packages/${id}/finalize`, {
      file_count: 2,
      total_size: 14,
      files_digest: meant,
    });
    t.is(changed, 1);
    t.like(refused, { status: 409, body: { code: 'list_mismatch' } });
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading');
    await api.call('PUT', `/v1/packages/${id}/files/a?replace=true`, 'first');
    t.is((await api.post(`/v1/packages/${id}/finalize`, { files_digest: meant })).status, 200);
  });

  test('a package that is being finalized can be neither deleted nor failed, and its seal is finished', async (t) => {
    const { api, service } = t.context;
    const id = await sealed(service, api, { a: 'sealed, not finalized' });
    t.like(await api.call('DELETE', `/v1/packages/${id}?reason=x`), { status: 409, body: { code: 'package_sealed' } });
    t.is((await api.post(`/v1/packages/${id}/fail`, { reason: 'x' })).body.code, 'package_sealed');
    await recover(service.services);
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'finalized');
  });

  // Alone: others put something in the place of the same methods.
  test.serial(
    'what somebody else finalizes at that moment is not taken for a package of a newer registry',
    async (t) => {
      const { api, service } = t.context;
      const { objects } = service.services.blobs;
      const { stat } = objects;
      t.teardown(() => {
        objects.stat = stat;
      });
      const place = { path: 'a', line: 1, kind: 'password', accepted: false };
      const secrets = { count: 1, accepted: 0, by: { password: 1 }, places: [place] };
      for (const ask of [
        (id: string) => api.post(`/v1/packages/${id}/finalize`, { secrets }),
        (id: string) => api.call('DELETE', `/v1/packages/${id}?reason=x`),
      ]) {
        const id = await api.create();
        await api.store(id, { a: 'finalized by two' });
        let others: { status: number; body: object } | null = null;
        objects.stat = async (ref) => {
          if (others === null && ref.key === manifestKey(id as PackageId)) {
            objects.stat = stat;
            others = await api.post(`/v1/packages/${id}/finalize`);
          }
          return stat(ref);
        };
        const { status, body } = await ask(id);
        t.is((others as { status: number } | null)?.status, 200);
        if (status === 200) t.deepEqual(body, (others as { body: object } | null)?.body);
        else t.is(body.code, 'retention_active');
      }
    },
  );

  test('the manifest of a package that an earlier version deleted while it was sealed is removed', async (t) => {
    const { api, service } = t.context;
    const { blobs, registry } = service.services;
    const id = await sealed(service, api, { a: 'deleted meanwhile' }, (text) => text);
    const manifest = { key: manifestKey(id), versionId: null };
    t.truthy(await blobs.objects.stat(manifest));
    await registry.transaction(({ packages }) => packages.update(id, { status: 'deleted', deleted_at: 1 }));
    await recover(service.services);
    t.is(await blobs.objects.stat(manifest), null);
    t.deepEqual(await registry.read.packages.listDeletedSealed(), []);
  });

  test('a manifest that another version wrote before it was stopped counts if it says the same', async (t) => {
    const { api, service } = t.context;
    const files = { 'a "quoted" \\ {name}': 'one', b: 'two', 'c]': 'three' };
    let written = '';
    const id = await sealed(service, api, files, (text) => {
      const manifest = JSON.parse(text);
      manifest.package.note = 'which this version does not write';
      for (const file of manifest.files) file.note = 'nor this';
      written = canonicalJson(manifest as JsonObject);
      return written;
    });
    await recover(service.services);
    t.like((await api.get(`/v1/packages/${id}`)).body, { status: 'finalized', manifest_digest: sha256(written) });
    t.deepEqual((await api.get(`/v1/packages/${id}/manifest`)).body, JSON.parse(written));
  });

  for (const [what, change] of Object.entries({
    'another digest of a file': (text: string) => text.replace(sha256('one').slice(7), sha256('other').slice(7)),
    'a file more': (text: string) =>
      text.replace('{"files":[', `{"files":[{"path":"0","sha256":"${sha256('').slice(7)}","size":0},`),
    'a file less': (text: string) => text.replace(/\{"files":\[\{[^}]*\},/, '{"files":['),
    'another name of the package': (text: string) => text.replace('"name":"a run"', '"name":"another"'),
    'no list that ends': (text: string) => text.slice(0, text.length / 2),
    'something else altogether': () => 'these bytes are no manifest',
  })) {
    test(`a manifest with ${what} under its key is an integrity failure, and nothing is finalized`, async (t) => {
      const { api, service } = t.context;
      const id = await sealed(service, api, { a: 'one', b: 'two' }, change);
      const refused = await api.post(`/v1/packages/${id}/finalize`);
      t.like(refused, { status: 500, body: { code: 'integrity_failure' } });
      t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading');
      // The other tests of this service recover too.
      await service.services.blobs.objects.remove({ key: manifestKey(id), versionId: null });
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    });
  }

  test('every aborted upload is in the audit, whatever aborted it', async (t) => {
    const { api, service } = t.context;
    const reasons = async (id: string) =>
      (await api.get(`/v1/audit?package_id=${id}&action=upload.aborted`)).body.items.map(
        ({ subject_id, reason }: { subject_id: string; reason: string }) => [subject_id, reason],
      );
    const one = await planned(api, 'planned with other parts', 2);
    await one.plan([1, one.size - 1]);
    t.deepEqual(await reasons(one.id), [
      [one.upload, 'It had expired, or was planned with another size, encoding, other parts or other members.'],
    ]);

    for (const [end, reason] of [
      [(id: string) => api.post(`/v1/packages/${id}/fail`, { reason: 'x' }), 'The package failed.'],
      [(id: string) => api.call('DELETE', `/v1/packages/${id}?reason=x`), 'The package was deleted.'],
    ] as const) {
      const { id, upload } = await planned(api, `ends as ${reason}`);
      t.is((await end(id)).status, 200);
      t.deepEqual(await reasons(id), [[upload, reason]]);
    }

    const { id, upload } = await planned(api, 'not needed any more');
    await api.call('DELETE', `/v1/packages/${id}/files/f`);
    await api.store(id, { g: 'needed' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    t.deepEqual(await reasons(id), [[upload, 'The package was sealed without it.']]);
    t.truthy(service);
  });

  test('the audit of a commit does not reveal whether somebody else had the bytes', async (t) => {
    const { api } = t.context;
    const details = [];
    for (const producer of ['one', 'another']) {
      const id = await api.create({ producer });
      await api.call('PUT', `/v1/packages/${id}/files/f`, 'the same bytes');
      const { items } = (await api.get(`/v1/audit?package_id=${id}&action=upload.committed`)).body;
      details.push(...items.map(({ detail }: { detail: object }) => Object.keys(detail)));
    }
    t.deepEqual(details, [['digest', 'files', 'size']]);
  });
}

/**
 * A package that is sealed and not finalized: whoever did it stopped there. @param manifest what it wrote first, instead of what
 * it should; left out: nothing
 */
async function sealed(
  service: TestService,
  api: Api,
  files: Record<string, string>,
  manifest?: (right: string) => string,
): Promise<PackageId> {
  const id = (await api.create()) as PackageId;
  await api.store(id, files);
  const { blobs } = service.services;
  const writeObject = blobs.objects.write.bind(blobs.objects);
  let stopped = false;
  blobs.objects.write = async (key, bytes) => {
    if (stopped || key !== manifestKey(id)) return writeObject(key, bytes);
    stopped = true;
    let right = '';
    for await (const chunk of bytes) right += Buffer.from(chunk).toString();
    if (manifest) await writeObject(key as ObjectKey, once(manifest(right)));
    throw new StoreError('unavailable', 'stopped here, as the test wants it');
  };
  const refused = await api.post(`/v1/packages/${id}/finalize`);
  if (refused.status !== 503) throw new Error(`${refused.status} ${JSON.stringify(refused.body)}`);
  return id;
}

/** Calls this whenever storage is asked for the object of this content. */
function onLookUp({ services: { blobs } }: TestService, content: string, called: () => Promise<void>): void {
  const statObject = blobs.objects.stat.bind(blobs.objects);
  blobs.objects.stat = async (ref) => {
    if (ref.key.includes(sha256(content).slice(7))) await called();
    return statObject(ref);
  };
}

/** A package with one file `f`, and the open upload of its bytes. @param parts how many are listed */
async function planned(api: Api, content: string, parts = 1) {
  const [digest, size] = [sha256(content), Buffer.byteLength(content)];
  const id = await api.create();
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size }] });
  const plan = async (sizes: number[]): Promise<string> => {
    let from = 0;
    const list = sizes.map((length) => {
      const part = { digest: sha256(content.slice(from, from + length)), size: length };
      from += length;
      return part;
    });
    const objects = [{ digest, size, ...(sizes.length > 1 ? { parts: list } : {}) }];
    const answer = await api.post(`/v1/packages/${id}/uploads`, { objects });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body.uploads[0].upload_id;
  };
  const upload = await plan(parts === 1 ? [size] : [size - 1, 1]);
  return { id, upload, size, plan };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
