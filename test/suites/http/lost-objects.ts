import type { ObjectKey } from '../../../src/blobs/key-layout.ts';
import type { Digest } from '../../../src/core/digest.ts';
import { StoreError } from '../../../src/core/errors.ts';
import { type Api, sha256 } from '../../support/api.ts';
import { preservePacked } from '../../support/packed-package.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** Objects whose bytes vanish behind the service's back: no package is finalized on them, and the same push heals it. */
export function lostObjectsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test('missing bytes are noticed before the seal, sent again, and there for every package that needs them', async (t) => {
    const { api, service } = t.context;
    const files = { 'a.txt': 'kept', 'b.txt': 'vanishes' };
    const before = await api.preserve(files);
    const [key] = await remove(service, 'vanishes');
    const id = await api.create();
    t.deepEqual(await states(api, id, files), { 'a.txt': 'stored', 'b.txt': 'stored' }, 'nobody knows yet');
    const refused = await api.post(`/v1/packages/${id}/finalize`);
    t.like(refused, { status: 409, body: { code: 'files_missing' } });
    t.deepEqual(refused.body.paths, ['b.txt']);
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading', 'nothing is sealed');
    t.deepEqual(await states(api, id, files), { 'a.txt': 'stored', 'b.txt': 'missing' });
    const listed = (await api.get(`/v1/packages/${id}/files`)).body.items;
    t.deepEqual(
      listed.map(({ state }: { state: string }) => state),
      ['stored', 'missing'],
    );

    await api.store(id, files);
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    for (const pkg of [id, before])
      t.is((await api.get(`/v1/packages/${pkg}/files/b.txt?redirect=false`)).body, 'vanishes');
    const events = (await api.get(`/v1/audit?package_id=${id}&action=object.lost`)).body.items;
    t.is(events.length, 1);
    t.like(events[0].detail, { kind: 'blob', digest: sha256('vanishes'), size: 8 });
    const [another] = await keysOf(service, 'vanishes');
    t.not(another, key, 'a key is used once');
  });

  test('PUT of the file heals it too, and another package that registers it must send it', async (t) => {
    const { api, service } = t.context;
    await api.preserve({ f: 'put again' });
    await remove(service, 'put again');
    const id = await api.create();
    await states(api, id, { f: 'put again' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    const other = await api.create();
    t.deepEqual(await states(api, other, { g: 'put again' }), { g: 'missing' });
    t.is((await api.call('PUT', `/v1/packages/${id}/files/f`, 'put again')).status, 201);
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    t.deepEqual(await states(api, other, { g: 'put again' }), { g: 'stored' });
  });

  test('all files of a lost pack count as missing, and only those', async (t) => {
    const { api, service } = t.context;
    const packed = { a: 'in the pack', b: 'in it too' };
    await preservePacked(api, [packed, { c: 'in another pack' }]);
    const id = await api.create();
    const all = { ...packed, c: 'in another pack', d: 'in another pack' };
    t.deepEqual(await states(api, id, all), { a: 'stored', b: 'stored', c: 'stored', d: 'stored' });
    const pack = await service.services.registry.read.blobs.locate(sha256('in the pack') as Digest);
    await removeObject(service, pack?.key as ObjectKey);
    t.deepEqual((await api.post(`/v1/packages/${id}/finalize`)).body.paths, ['a', 'b']);
    await api.store(id, all);
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    t.is((await api.get(`/v1/packages/${id}/files/b?redirect=false`)).body, 'in it too');
  });

  test('an object that is back is live again, and nothing has to be sent', async (t) => {
    const { api, service } = t.context;
    await api.preserve({ f: 'comes back' });
    const [key] = await remove(service, 'comes back');
    const id = await api.create();
    await states(api, id, { f: 'comes back' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    await service.services.blobs.objects.write(key as ObjectKey, bytesOf('comes back'));
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    const actions = (await api.get(`/v1/audit?package_id=${id}`)).body.items.map(
      ({ action }: { action: string }) => action,
    );
    t.deepEqual(
      actions.filter((action: string) => action.startsWith('object.')),
      ['object.lost', 'object.found'],
    );
  });

  test('of finalizations that race over a lost object one marks it, and none is sealed', async (t) => {
    const { api, service } = t.context;
    await api.preserve({ f: 'raced over' });
    await remove(service, 'raced over');
    const ids = await Promise.all(Array.from({ length: 6 }, () => api.create()));
    for (const id of ids) await states(api, id, { f: 'raced over' });
    const answers = await Promise.all(ids.map((id) => api.post(`/v1/packages/${id}/finalize`)));
    t.deepEqual(new Set(answers.map(({ body }) => body.code)), new Set(['files_missing']));
    const lost = (await api.get('/v1/audit?action=object.lost&limit=1000')).body.items;
    t.is(lost.filter(({ detail }: { detail: { digest: string } }) => detail.digest === sha256('raced over')).length, 1);
    // Sent at once by all of them: one object is kept, and each is whole.
    await Promise.all(ids.map((id) => api.store(id, { f: 'raced over' })));
    const again = await Promise.all(ids.map((id) => api.post(`/v1/packages/${id}/finalize`)));
    t.true(again.every(({ status }) => status === 200));
    t.is((await keysOf(service, 'raced over')).length, 1);
  });

  test('storage that does not respond says nothing about any object', async (t) => {
    const { service, api } = t.context;
    const id = await api.create();
    await api.store(id, { f: 'only silent' });
    const { blobs } = service.services;
    const statObject = blobs.objects.stat.bind(blobs.objects);
    blobs.objects.stat = async (ref) => {
      if (!ref.key.includes(sha256('only silent').slice(7))) return statObject(ref);
      throw new StoreError('unavailable', 'as the test wants it');
    };
    const refused = await api.post(`/v1/packages/${id}/finalize`);
    blobs.objects.stat = statObject;
    t.like(refused, { status: 503, body: { code: 'unavailable' } });
    t.deepEqual(await states(api, id, { f: 'only silent' }), { f: 'stored' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
  });

  test('a read of lost bytes names the missing object by its id, and reveals no location', async (t) => {
    const { service, api } = t.context;
    const id = await api.preserve({ f: 'read in vain' });
    await remove(service, 'read in vain');
    const again = await api.create();
    await states(api, again, { f: 'read in vain' });
    await api.post(`/v1/packages/${again}/finalize`);
    const answer = await api.get(`/v1/packages/${id}/files/f`);
    t.like(answer, { status: 500, body: { code: 'integrity_failure' } });
    t.is(answer.body.detail, 'The stored bytes of "f" are missing from storage.');
    t.regex(answer.body.object_id, /^obj_[0-9a-f]{32}$/);
    t.false(JSON.stringify(answer.body).includes(service.dataDir));
    const { checks } = (await api.get('/v1/diagnosis')).body;
    t.like(
      checks.find(({ name }: { name: string }) => name === 'lost_objects'),
      { level: 'failure' },
    );
  });

  test('proven bytes that nothing locates are damage, by name, in a plan of downloads', async (t) => {
    const { service, api } = t.context;
    const id = await api.preserve({ a: 'located', b: 'not located' });
    const { locate } = service.services.registry.read.files;
    service.services.registry.read.files.locate = async (pkg, paths) =>
      (await locate(pkg, paths)).filter(({ path }) => pkg !== id || path !== 'b');
    const whole = await api.post(`/v1/packages/${id}/downloads`, {});
    service.services.registry.read.files.locate = locate;
    t.like(whole, { status: 500, body: { code: 'integrity_failure', path: 'b' } });
    t.is((await api.post(`/v1/packages/${id}/downloads`, {})).status, 200);
  });
}

/** Registers these files. @returns the answer's states by path */
async function states(api: Api, id: string, files: Record<string, string>): Promise<Record<string, string>> {
  const list = Object.entries(files).map(([path, text]) => ({
    path,
    digest: sha256(text),
    size: Buffer.byteLength(text),
  }));
  const { body } = await api.post(`/v1/packages/${id}/files`, { files: list });
  return Object.fromEntries(body.files.map(({ path, state }: { path: string; state: string }) => [path, state]));
}

async function keysOf({ services }: TestService, content: string): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { key } of services.blobs.objects.list('objects/')) {
    if (key.includes(sha256(content).slice(7))) keys.push(key);
  }
  return keys;
}

/** Takes every object of this content out of the blob store. @returns their keys */
async function remove(service: TestService, content: string): Promise<ObjectKey[]> {
  const keys = await keysOf(service, content);
  for (const key of keys) await removeObject(service, key);
  return keys;
}

async function removeObject({ services }: TestService, key: ObjectKey): Promise<void> {
  await services.blobs.objects.remove({ key, versionId: null });
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
