import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import { attestationKey, type ObjectKey, publicKeyKey } from '../../../src/blobs/key-layout.ts';
import { parseEnvelope } from '../../../src/core/dsse.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { openStatement, SUBJECTS_MAX } from '../../../src/core/statement.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { withRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** What the service signs when a package is finalized, and its keys. */
export function attestationSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  /** With keys and objects of its own. */
  async function place(t: ExecutionContext): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  test('a finalized package has a statement of all its files, signed by the key that the service names', async (t) => {
    const { api, service } = t.context;
    const files = { 'a.txt': 'one', 'größe/b': randomBytes(5_000), empty: '' };
    const commits = { 'example/repo': 'c0ffee' };
    const fields = { producer: 'tests', external_id: 'run-1', metadata: { source_commits: commits } };
    const id = await api.preserve(files, fields);
    const pkg = (await api.get(`/v1/packages/${id}`)).body;
    const { statement, key } = openStatement(await envelopeOf(api, id), await keysOf(api));
    t.is(key.id, (await api.get('/v1/keys')).body.current);
    const expected = Object.entries(files).map(([name, bytes]) => ({ name, digest: { sha256: hexOf(bytes) } }));
    t.deepEqual(
      statement.subject,
      expected.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))),
    );
    const manifest = await bytesOf(service, `packages/${id}/manifest.json` as ObjectKey);
    t.deepEqual(statement.predicate, {
      package: { id, name: pkg.name, producer: 'tests', subject: null, external_id: 'run-1', supersedes: null },
      source_commits: commits,
      retention_class: pkg.retention.class,
      created_at: pkg.created_at,
      finalized_at: pkg.finalized_at,
      manifest: { sha256: hexOf(manifest), size: manifest.length },
      file_count: 3,
      total_size: 5_003,
      store_id: service.services.storeId(),
      subjects: 'files',
    });
    t.is(pkg.manifest_digest, sha256(manifest));
  });

  test('it stands in storage beside the manifest, and so does the key: both outlive the registry', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve({ a: 'kept' });
    const served = await api.get(`/v1/packages/${id}/attestation`);
    t.is(served.headers.get('content-type'), 'application/vnd.dsse.envelope.v1+json');
    const stored = await bytesOf(service, attestationKey(id as PackageId));
    t.deepEqual(parseEnvelope(stored), served.body);
    const { items, current } = (await api.get('/v1/keys')).body;
    t.is((await bytesOf(service, publicKeyKey(current))).toString(), items[0].public_key);
  });

  test('what is not finalized has none; what is deleted neither', async (t) => {
    const { api } = t.context;
    const open = await api.create();
    t.like(await api.get(`/v1/packages/${open}/attestation`), { status: 409, body: { code: 'package_not_finalized' } });
    t.is((await api.call('DELETE', `/v1/packages/${open}?reason=done`)).status, 200);
    t.like(await api.get(`/v1/packages/${open}/attestation`), { status: 410, body: { code: 'package_deleted' } });
  });

  test('after a rotation another key signs, and what the old one signed stays valid', async (t) => {
    const { api } = await place(t);
    const before = await api.preserve({ a: 'before' });
    const old = (await api.get('/v1/keys')).body.current;
    const rotated = await api.post('/v1/keys');
    t.is(rotated.status, 201);
    const after = await api.preserve({ a: 'after' });
    const { items, current } = (await api.get('/v1/keys')).body;
    t.is(current, rotated.body.id);
    t.not(current, old);
    t.deepEqual(
      items.map(({ id, retired_at }: { id: string; retired_at: string | null }) => [id, retired_at === null]),
      [
        [old, false],
        [current, true],
      ],
    );
    const keys = await keysOf(api);
    t.is(openStatement(await envelopeOf(api, before), keys).key.id, old);
    t.is(openStatement(await envelopeOf(api, after), keys).key.id, current);
    const { items: events } = (await api.get('/v1/audit?action=key.rotated')).body;
    t.like(events, [{ detail: { key_id: current, retired: old } }]);
  });

  test('a package that was finalized before the service signed gets one, by recovery or when it is asked for', async (t) => {
    const { api, service } = t.context;
    const [one, two] = [await api.preserve({ a: 'one' }), await api.preserve({ a: 'two' })];
    for (const id of [one, two]) await unsign(service, id);
    openStatement(await envelopeOf(api, one), await keysOf(api));
    t.is((await recordOf(service, two)).attestation_digest, null);
    await recover(service.services);
    const bytes = await bytesOf(service, attestationKey(two as PackageId));
    t.is((await recordOf(service, two)).attestation_digest, sha256(bytes) as never);
  });

  test('what stands in its place and nobody known has signed is replaced; what an earlier key signed counts', async (t) => {
    const { api, service } = await place(t);
    const [forged, earlier] = [await api.preserve({ a: 'forged' }), await api.preserve({ a: 'earlier' })];
    const { objects } = service.services.blobs;
    const key = attestationKey(forged as PackageId);
    for (const id of [forged, earlier]) await unsign(service, id);
    const signedBefore = await bytesOf(service, attestationKey(earlier as PackageId));
    await objects.remove({ key, versionId: null });
    await objects.write(
      key,
      once(Buffer.from('{"payloadType":"x","payload":"","signatures":[{"keyid":"","sig":""}]}')),
    );
    t.is((await api.post('/v1/keys')).status, 201);
    await recover(service.services);
    openStatement(await envelopeOf(api, forged), await keysOf(api));
    t.deepEqual(await bytesOf(service, attestationKey(earlier as PackageId)), signedBefore);
  });

  test('a flipped bit of it is found by fixity, never served as if it were right, and mended by a repair', async (t) => {
    const { api, service } = await place(t);
    const id = await api.preserve({ a: 'kept' });
    const key = attestationKey(id as PackageId);
    const { objects } = service.services.blobs;
    const right = await bytesOf(service, key);
    const wrong = Buffer.from(right);
    wrong[100] = (wrong[100] as number) ^ 1;
    await objects.remove({ key, versionId: null });
    await objects.write(key, once(wrong));
    t.is((await api.get(`/v1/packages/${id}/attestation`)).status, 500);
    const run = (await api.post('/v1/operations/fixity', {})).body;
    let ended = run;
    while (ended.state === 'running') ended = (await api.get(`/v1/operations/fixity/${run.id}`)).body;
    t.like(ended.damaged.items[0], { package_id: id, kind: 'attestation', path: null, bytes: 'wrong' });
    const repaired = await api.post('/v1/operations/repairs/manifests');
    t.deepEqual(repaired.body, { repaired: [id], kept: [] });
    t.deepEqual(await bytesOf(service, key), right);
    t.is((await api.get(`/v1/packages/${id}/attestation`)).status, 200);
  });

  test('of more files than a statement names, its subject is the manifest', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const file = (n: number) => ({ path: `f/${n}`, digest: sha256('same'), size: 4 });
    for (let at = 0; at <= SUBJECTS_MAX; at += 1_000) {
      const files = Array.from({ length: Math.min(1_000, SUBJECTS_MAX + 1 - at) }, (_, n) => file(at + n));
      t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    }
    await api.store(id, { 'f/0': 'same' });
    const { manifest_digest } = (await api.post(`/v1/packages/${id}/finalize`)).body;
    const { statement } = openStatement(await envelopeOf(api, id), await keysOf(api));
    t.is(statement.predicate.subjects, 'manifest');
    t.deepEqual(statement.subject, [{ name: 'manifest.json', digest: { sha256: manifest_digest.slice(7) } }]);
  });
}

async function envelopeOf(api: Api, id: string) {
  const { status, body } = await api.get(`/v1/packages/${id}/attestation`);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

async function keysOf(api: Api): Promise<PublicKey[]> {
  const { items } = (await api.get('/v1/keys')).body;
  return items.map(({ public_key }: { public_key: string }) => readPublicKey(public_key));
}

async function bytesOf({ services }: TestService, key: ObjectKey): Promise<Buffer> {
  return buffer(await services.blobs.objects.open({ key, versionId: null }));
}

/** As it was before the service signed. */
async function unsign({ env }: TestService, id: string): Promise<void> {
  await withRegistry(env, async (db) => {
    const object = db('objects').where({ key: attestationKey(id as PackageId) });
    await db('object_checks').whereIn('object_no', object.clone().select('no')).delete();
    await object.delete();
    await db('packages').where({ id }).update({ attestation_digest: null });
  });
}

async function recordOf({ services }: TestService, id: string) {
  return (await services.registry.read.packages.get(id as PackageId)) ?? { attestation_digest: 'no package' };
}

function hexOf(bytes: string | Uint8Array): string {
  return sha256(bytes).slice('sha256:'.length);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
