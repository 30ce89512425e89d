import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import type { ObjectKey } from '../../../src/blobs/key-layout.ts';
import { digestOf } from '../../../src/core/digest.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, apiOf } from '../../support/api.ts';
import { preservePacked } from '../../support/packed-package.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { sweepOf } from '../../support/sweep.ts';

/** Packs whose bytes are mostly dead, and small ones, are written anew; no file notices. */
export function rewriteSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function place(t: ExecutionContext, target = DEFAULT_LIMITS.pack_target) {
    const service = await startTestService({
      env: { ARTIFACT_STORE_SWEEP_GRACE: '0s' },
      limits: { pack_target: target },
    });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  for (const [what, bytesOf] of Object.entries(CONTENTS)) {
    test(`a pack that is mostly dead gives way to one of what is needed: ${what}`, async (t) => {
      const { service, api } = await place(t);
      const all = files(20, bytesOf);
      const dead = await preservePacked(api, [all], { retention_class: 'transient' });
      const kept = Object.fromEntries(Object.entries(all).filter((_, n) => n % 5 === 0));
      const id = await api.preserve(kept);
      const [old] = await packsOf(service);
      await remove(t, service, api, dead);

      t.like((await sweepOf(api)).report, { sparse: { count: 1, bytes: old?.stored_size }, rewritten: { count: 0 } });
      const { report } = await sweepOf(api, { apply: true });
      t.like(report, {
        sparse: { count: 1 },
        rewritten: { count: 1 },
        unneeded: { count: 1, bytes: old?.stored_size },
      });
      const [before, after] = await packsOf(service);
      t.like(before, { id: old?.id, state: 'condemned' });
      t.like(after, { state: 'live' });
      t.true((after?.stored_size ?? 0) < (old?.stored_size ?? 0) / 2);
      await assertReads(t, service, id, kept);

      // URLs that were signed for the old pack are good for an hour: so long it stays.
      t.is((await sweepOf(api, { apply: true })).report.freed.count, 0);
      service.sleepDays(1);
      t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1, bytes: old?.stored_size } });
      await assertReads(t, service, id, kept);
      t.like((await sweepOf(api, { apply: true })).report, { sparse: { count: 0 }, rewritten: { count: 0 } });
      t.is((await keysOf(service)).length, 1);
    });
  }

  test('how much may be dead, and how much is written anew, is for the caller to say', async (t) => {
    const { service, api } = await place(t);
    const all = files(10, CONTENTS.random);
    const dead = await preservePacked(api, [all], { retention_class: 'transient' });
    const id = await api.preserve(Object.fromEntries(Object.entries(all).slice(0, 7)));
    await remove(t, service, api, dead);
    t.is((await sweepOf(api)).report.sparse.count, 0, 'a third is dead');
    t.is((await sweepOf(api, { max_dead: 20 })).report.sparse.count, 1);
    t.is((await sweepOf(api, { max_dead: 20, max_rewrite: 0 })).report.sparse.count, 0);
    t.is((await sweepOf(api, { max_dead: 20, max_rewrite: 1_000 })).report.sparse.count, 0);
    t.like((await sweepOf(api, { apply: true, max_dead: 20 })).report, {
      sparse: { count: 1 },
      rewritten: { count: 1 },
    });
    await assertReads(t, service, id, Object.fromEntries(Object.entries(all).slice(0, 7)));
  });

  test('a pack of tiny files, which is mostly headers, is left as it is while they are needed', async (t) => {
    const { service, api } = await place(t, 8_000);
    await preservePacked(api, [files(20, (n) => Buffer.from(`a few bytes: ${n}`))]);
    t.like((await sweepOf(api, { apply: true })).report, { sparse: { count: 0 }, rewritten: { count: 0 } });
    t.is((await packsOf(service)).length, 1);
  });

  test('a pack of which one file is needed becomes that file', async (t) => {
    const { service, api } = await place(t);
    const all = files(8, CONTENTS.text);
    const dead = await preservePacked(api, [all], { retention_class: 'transient' });
    const [[path, bytes] = ['', Buffer.alloc(0)]] = Object.entries(all);
    const id = await api.preserve({ [path]: bytes });
    await remove(t, service, api, dead);
    t.like((await sweepOf(api, { apply: true })).report, { rewritten: { count: 1 } });
    const objects = await service.services.registry.read.blobs.keysAfter('', 10);
    const live = objects.filter(({ state }) => state === 'live').map(({ id: object }) => object);
    const [[, object] = []] = [...(await service.services.registry.read.blobs.getObjects(live))];
    t.like(object, { kind: 'blob', digest: digestOf(bytes), size: bytes.length });
    await assertReads(t, service, id, { [path]: bytes });
  });

  test('small packs of one producer become one; those of others stay apart', async (t) => {
    const { service, api } = await place(t, 80_000);
    const ours: Record<string, Buffer> = {};
    const ids: Array<[string, Record<string, Buffer>]> = [];
    for (let run = 0; run < 4; run += 1) {
      const some = files(4, CONTENTS.random);
      Object.assign(ours, some);
      ids.push([await preservePacked(api, [some]), some]);
    }
    const theirs = files(4, CONTENTS.random);
    ids.push([await preservePacked(api, [theirs], { producer: 'others' }), theirs]);
    const { report } = await sweepOf(api, { apply: true });
    t.like(report, { sparse: { count: 4 }, rewritten: { count: 1 } });
    for (const [id, some] of ids) await assertReads(t, service, id, some);
    service.sleepDays(1);
    t.is((await sweepOf(api, { apply: true })).report.freed.count, 4);
    for (const [id, some] of ids) await assertReads(t, service, id, some);
    t.is((await keysOf(service)).length, 2);
    t.is((await sweepOf(api, { apply: true })).report.sparse.count, 0, 'and not again');
  });

  test('packs that have a file in common are written anew once, not for ever', async (t) => {
    const { service, api } = await place(t, 40_000);
    const { a, b, c } = { a: randomBytes(6_000), b: randomBytes(6_000), c: randomBytes(6_000) };
    const id = await preservePacked(api, [
      { a, b },
      { a, c },
    ]);
    t.is((await packsOf(service)).length, 2);
    for (let times = 0; times < 3; times += 1) {
      t.is((await sweepOf(api, { apply: true, max_dead: 10 })).state, 'done');
      service.sleepDays(1);
    }
    t.like((await sweepOf(api, { apply: true, max_dead: 10 })).report, {
      ...{ sparse: { count: 0 }, rewritten: { count: 0 }, unneeded: { count: 0 }, freed: { count: 0 } },
    });
    await assertReads(t, service, id, { a, b, c });
  });

  test('a pack that is small and whole is left as it is, however little may be dead', async (t) => {
    const { service, api } = await place(t, 40_000);
    await preservePacked(api, [{ a: randomBytes(1_000), b: randomBytes(2_000) }]);
    t.like((await sweepOf(api, { apply: true, max_dead: 0 })).report, {
      sparse: { count: 0 },
      rewritten: { count: 0 },
    });
    t.is((await packsOf(service)).length, 1);
  });

  test('a sweep that was stopped for longer than its lease leaves the pack, and goes on', async (t) => {
    const { service, api } = await place(t);
    const all = files(10, CONTENTS.random);
    const dead = await preservePacked(api, [all], { retention_class: 'transient' });
    const kept = Object.fromEntries(Object.entries(all).slice(0, 3));
    const id = await api.preserve(kept);
    await remove(t, service, api, dead);
    const { uploads } = service.services.blobs;
    const { complete } = uploads;
    uploads.complete = async (...args) => {
      uploads.complete = complete;
      // Longer than the lease of an upload, and not than that of a sweep.
      service.sleepDays(31 / 86_400);
      await recover({ ...service.services, running: new Map(), instance: 'another' });
      return complete(...args);
    };
    t.like(await sweepOf(api, { apply: true }), {
      state: 'done',
      report: { sparse: { count: 1 }, rewritten: { count: 0 } },
    });
    await assertReads(t, service, id, kept);
    t.like((await sweepOf(api, { apply: true })).report, { rewritten: { count: 1 } });
    await assertReads(t, service, id, kept);
  });

  test('a damaged member, or storage that fails, leaves the old pack as it is', async (t) => {
    const { service, api } = await place(t);
    const all = files(10, CONTENTS.random);
    const dead = await preservePacked(api, [all], { retention_class: 'transient' });
    const kept = Object.fromEntries(Object.entries(all).slice(0, 2));
    const id = await api.preserve(kept);
    await remove(t, service, api, dead);
    const { uploads, objects } = service.services.blobs;
    const { complete } = uploads;
    uploads.complete = async () => {
      throw new Error('storage is away');
    };
    t.is((await sweepOf(api, { apply: true })).state, 'failed');
    uploads.complete = complete;
    const { open } = objects;
    objects.open = async (ref, range) => {
      const stream = await open(ref, range);
      if (!ref.key.startsWith('objects/')) return stream;
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(Buffer.from(chunk));
      const bytes = Buffer.concat(chunks);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
      return Readable.from([bytes]);
    };
    t.like((await sweepOf(api, { apply: true })).report, { sparse: { count: 1 }, rewritten: { count: 0 } });
    objects.open = open;
    t.is((await packsOf(service)).filter(({ state }) => state === 'live').length, 1);
    await assertReads(t, service, id, kept);
    t.like((await sweepOf(api, { apply: true })).report, { sparse: { count: 1 }, rewritten: { count: 1 } });
    await assertReads(t, service, id, kept);
  });
}

const CONTENTS = {
  random: (n: number) => randomBytes(2_000 + 700 * (n % 3)),
  text: (n: number) => Buffer.from(`line ${n} of a log that compresses well\n`.repeat(80 + n)),
};

function files(count: number, bytesOf: (n: number) => Buffer): Record<string, Buffer> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`f/${n}`, bytesOf(n)]));
}

/** Its time is over; it is deleted. */
async function remove(t: ExecutionContext, { services }: TestService, api: Api, id: string): Promise<void> {
  await services.registry.transaction(({ packages }) => packages.update(id as PackageId, { expires_at: 1 }));
  const { status, body } = await api.call('DELETE', `/v1/packages/${id}?reason=over`);
  t.is(status, 200, JSON.stringify(body));
}

async function assertReads(
  t: ExecutionContext,
  { url }: TestService,
  id: string,
  expected: Record<string, Buffer>,
): Promise<void> {
  for (const [path, bytes] of Object.entries(expected)) {
    const answer = await fetch(`${url}/v1/packages/${id}/files/${path}?redirect=false`);
    t.is(answer.status, 200, path);
    t.is(digestOf(Buffer.from(await answer.arrayBuffer())), digestOf(bytes), path);
  }
}

async function packsOf({ services }: TestService) {
  const { blobs } = services.registry.read;
  const ids = (await blobs.keysAfter('', 1_000)).map(({ id }) => id);
  const objects = [...(await blobs.getObjects(ids)).values()].filter(
    ({ kind, state }) => kind === 'pack' && state !== 'gone',
  );
  return objects.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function keysOf({ services }: TestService): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { key } of services.blobs.objects.list('objects/')) keys.push(key);
  return keys;
}
