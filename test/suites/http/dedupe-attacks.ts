import { randomBytes } from 'node:crypto';
import type { DownloadList, PartRequest, PlannedUpload } from '../../../src/api/types.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { type Answer, type Api, apiOf, sha256 } from '../../support/api.ts';
import { withoutIds } from '../../support/comparable.ts';
import { packOf, type TestPack } from '../../support/pack.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

/**
 * "Dedupe that does not leak" (design), attacked over HTTP by Mallory: its token has every scope that a token with a limit can have, for
 * its own producer alone, and it knows what it must not need to be kept from: digests, sizes, ids of packages, uploads and objects, part
 * URLs, and how Alice's packs are made. Each answer is held against that to the same request about something that nobody has.
 */
interface Stage {
  service: TestService;
  alice: Api;
  mallory: Api;
  /** Writes packages of Alice's producer, and may read none of their bytes. */
  writer: Api;
}

const NOBODY = `${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;

export function dedupeAttacksSuite(startTestService: StartTestService): void {
  const test = testWith<Stage>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    const admin = apiOf(service.url, ADMIN_TOKEN);
    const scopes = SCOPES.filter((scope) => scope !== 'operator');
    return {
      service,
      alice: await clientWith(service.url, admin, { scopes, producers: ['alice'] }),
      mallory: await clientWith(service.url, admin, { scopes, producers: ['mallory'] }),
      writer: await clientWith(service.url, admin, { scopes: ['packages:write'], producers: ['alice'] }),
    };
  });

  test('a digest that Alice has and one that nobody has are answered alike, step by step', async (t) => {
    const { alice, mallory } = t.context;
    const [known, unknown] = [fresh('known'), fresh('unknown')];
    const owner = await alice.preserve({ secret: known }, { producer: 'alice' });
    const seen: unknown[][] = [];
    for (const text of [known, unknown]) {
      const id = await mallory.create({ producer: 'mallory' });
      seen.push((await everyStep(mallory, id, text)).map((answer) => comparable(answer, text)));
      // With the bytes it is Mallory's own, in both cases alike.
      await mallory.store(id, { secret: text });
      const finalized = await mallory.post(`/v1/packages/${id}/finalize`);
      seen.at(-1)?.push(finalized.status, finalized.body.stored_size, finalized.body.total_size);
      t.is((await mallory.get(`/v1/packages/${id}/files/secret`)).status, 200);
    }
    t.deepEqual(seen[0], seen[1]);
    t.is((await alice.get(`/v1/packages/${owner}/files/secret?redirect=false`)).body, known);
  });

  test('what Alice does with a digest meanwhile changes nothing of what Mallory sees', async (t) => {
    const { alice, mallory } = t.context;
    const text = fresh('while it comes and goes');
    const id = await mallory.create({ producer: 'mallory' });
    const look = async () => (await everyStep(mallory, id, text)).map((answer) => comparable(answer, text));
    await look();
    const before = await look();
    const owner = await alice.create({ producer: 'alice' });
    await alice.post(`/v1/packages/${owner}/files`, { files: [fileOf(text)] });
    t.deepEqual(await look(), before, 'registered');
    await alice.store(owner, { secret: text });
    t.deepEqual(await look(), before, 'stored');
    await alice.post(`/v1/packages/${owner}/finalize`);
    t.deepEqual(await look(), before, 'finalized');
    const other = await alice.preserve({ secret: text }, { producer: 'alice' });
    t.deepEqual(await look(), before, 'in two packages');
    await alice.post(`/v1/packages/${other}/holds`, { reason: 'r' });
    t.deepEqual(await look(), before, 'held');
  });

  test("Alice's ids of packages and uploads are as ids of nothing, and nothing is done to them", async (t) => {
    const { alice, mallory } = t.context;
    const text = fresh('not yours');
    const owner = await alice.create({ producer: 'alice' });
    await alice.post(`/v1/packages/${owner}/files`, { files: [fileOf(text)] });
    const upload = await planOne(alice, owner, { digest: sha256(text), size: text.length });
    const before = (await alice.get(`/v1/packages/${owner}`)).body;
    const file = fileOf(fresh('put there'));
    const attempts: Array<[method: string, path: string, body?: unknown]> = [
      ['GET', `/v1/uploads/${upload.upload_id}`],
      ['POST', `/v1/uploads/${upload.upload_id}/urls`, { parts: [1] }],
      ['POST', `/v1/uploads/${upload.upload_id}/urls`, { parts: [2] }],
      ['POST', `/v1/uploads/${upload.upload_id}/commit`],
      ['DELETE', `/v1/uploads/${upload.upload_id}`],
      ['GET', `/v1/packages/${owner}`],
      ['GET', `/v1/packages/${owner}/files/secret`],
      ['GET', `/v1/packages/${owner}/files/nothing`],
      ['HEAD', `/v1/packages/${owner}/files/secret`],
      ['POST', `/v1/packages/${owner}/files`, { files: [file] }],
      ['PUT', `/v1/packages/${owner}/files/x`, 'bytes'],
      ['DELETE', `/v1/packages/${owner}/files/secret`],
      ['POST', `/v1/packages/${owner}/uploads`, { objects: [{ digest: sha256(text), size: text.length }] }],
      ['POST', `/v1/packages/${owner}/downloads`, { paths: ['secret'] }],
      ['POST', `/v1/packages/${owner}/holds`, { reason: 'r' }],
      ['POST', `/v1/packages/${owner}/holds/hold_${NOBODY}/release`, { reason: 'r' }],
      ['POST', `/v1/packages/${owner}/retention/extensions`, { days: 1, reason: 'r' }],
      ['POST', `/v1/packages/${owner}/fail`, { reason: 'r' }],
      ['DELETE', `/v1/packages/${owner}?reason=r`],
      ['POST', `/v1/packages/${owner}/finalize`],
      ['GET', `/v1/packages/${owner}/receipt?decision=evt_${NOBODY}`],
    ];
    for (const [method, path, body] of attempts) {
      const [foreign, none] = [
        await mallory.call(method, path, body),
        await mallory.call(method, path.replace(/(pkg|upl)_[0-9a-f]{32}/, `$1_${NOBODY}`), body),
      ];
      t.is(foreign.status, 404, `${method} ${path}`);
      t.deepEqual(withoutIds(foreign), withoutIds(none), `${method} ${path}`);
    }
    for (const id of [owner, `pkg_${NOBODY}`]) {
      const body = { name: 'n', producer: 'mallory', supersedes: id };
      t.is((await mallory.post('/v1/packages', body)).body.code, 'package_not_found');
    }
    t.deepEqual((await alice.get(`/v1/packages/${owner}`)).body, before);
    for (const part of upload.parts) await alice.send(part, Buffer.from(text));
    t.is((await alice.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200, 'her upload goes on');
  });

  test('lists, filters, cursors and external ids show nothing of Alice', async (t) => {
    const { alice, mallory } = t.context;
    const metadata = { case: fresh('case') };
    const fields = { producer: 'alice', external_id: fresh('x'), subject: 'alices subject', metadata };
    const ids = [await alice.preserve({ a: 'a' }, fields), await alice.preserve({ a: 'b' }, { producer: 'alice' })];
    const events = (await alice.get(`/v1/audit?package_id=${ids[0]}`)).body.items;
    const lists = [
      '/v1/packages?producer=alice',
      `/v1/packages?external_id=${encodeURIComponent(fields.external_id)}`,
      '/v1/packages?subject=alices%20subject',
      `/v1/packages?metadata.case=${encodeURIComponent(metadata.case)}`,
      `/v1/packages?created_before=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}&producer=alice`,
      `/v1/audit?package_id=${ids[0]}`,
      `/v1/audit?actor=${encodeURIComponent(events[0].actor)}`,
    ];
    for (const path of lists) {
      const { status, body } = await mallory.get(path);
      t.like({ status, body }, { status: 200, body: { items: [], next_cursor: null } }, path);
    }
    // A cursor of hers leads nowhere but to what Mallory may read.
    for (const path of ['/v1/packages', '/v1/audit']) {
      const { next_cursor } = (await alice.get(`${path}?limit=1`)).body;
      const text = JSON.stringify((await mallory.get(`${path}?cursor=${next_cursor}`)).body);
      t.false(text.includes('alice') || ids.some((id) => text.includes(id)), path);
    }
    for (const path of ['/v1/packages', '/v1/audit', '/v1/retention/eligible']) {
      const { body } = await mallory.get(`${path}?limit=1000`);
      t.is(body.next_cursor, null);
      t.false(JSON.stringify(body).includes('alice'), path);
    }
    const named = { name: 'n', producer: 'alice', external_id: fields.external_id };
    const [taken, free] = [
      await mallory.post('/v1/packages', named),
      await mallory.post('/v1/packages', { ...named, external_id: 'free' }),
    ];
    t.is(taken.status, 403);
    t.deepEqual(withoutIds(taken), withoutIds(free));
    const own = await mallory.post('/v1/packages', { ...named, producer: 'mallory' });
    t.is(own.status, 201, "an external id is each producer's own");
    for (const event of [events[0].id, `evt_${NOBODY}`]) {
      t.is((await mallory.get(`/v1/log/proof?event=${event}`)).body.code, 'event_not_found');
    }
    t.is((await mallory.get('/v1/log/tile/entries/000')).status, 403);
  });

  test("part URLs of Alice's uploads cannot be made of Mallory's own, and one that leaked takes her bytes alone", async (t) => {
    const { alice, mallory, service } = t.context;
    const text = fresh('of the part');
    const [hers, own] = [await alice.create({ producer: 'alice' }), await mallory.create({ producer: 'mallory' })];
    const object = { digest: sha256(text), size: text.length };
    for (const [api, id] of [[alice, hers] as const, [mallory, own] as const]) {
      await api.post(`/v1/packages/${id}/files`, { files: [fileOf(text)] });
    }
    const upload = await planOne(alice, hers, object);
    const mine = await planOne(mallory, own, object);
    const [leaked, part] = [upload.parts[0] as PartRequest, mine.parts[0] as PartRequest];
    const wrong = Buffer.alloc(text.length, 'w');
    t.true((await mallory.send(leaked, wrong)).status >= 400, 'other bytes');
    if (part.url.startsWith(service.url)) {
      const target = (id: string) => ({ ...part, url: part.url.replace(mine.upload_id as string, id) });
      const forged = [
        await mallory.send(target(upload.upload_id as string), Buffer.from(text)),
        await mallory.send(target(`upl_${NOBODY}`), Buffer.from(text)),
        await mallory.send({ ...part, url: leaked.url.replace('/parts/1', '/parts/2') }, Buffer.from(text)),
      ];
      for (const answer of forged) t.like(answer, { status: 403, body: { code: 'invalid_signature' } });
      t.deepEqual(withoutIds(forged[0] as Answer), withoutIds(forged[1] as Answer));
    } else {
      const key = (url: string) => new URL(url).pathname;
      const forged = { ...part, url: part.url.replace(key(part.url), key(leaked.url)) };
      t.is((await mallory.send(forged, Buffer.from(text))).status, 403);
    }
    const { parts } = (await alice.get(`/v1/uploads/${upload.upload_id}`)).body;
    t.deepEqual(
      parts.map(({ received }: { received: boolean }) => received),
      [false],
      'nothing of that arrived',
    );
    for (const each of upload.parts) await alice.send(each, Buffer.from(text));
    t.is((await alice.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
    t.true((await mallory.send(leaked, Buffer.from(text))).status >= 400, 'dead since the commit');
    t.is((await mallory.post(`/v1/uploads/${mine.upload_id}/commit`)).body.code, 'upload_incomplete');
  });

  test("Alice's pack, planned again by Mallory, is to be sent, and one member's bytes give that member alone", async (t) => {
    const { alice, mallory } = t.context;
    const texts = [fresh('first'), fresh('second'), fresh('third')];
    const pack = packOf(texts);
    const owner = await alice.create({ producer: 'alice' });
    await alice.post(`/v1/packages/${owner}/files`, { files: texts.map((text, n) => fileOf(text, `f${n}`)) });
    const upload = await planOne(alice, owner, objectOf(pack));
    await alice.send(upload.parts[0] as PartRequest, pack.bytes);
    t.is((await alice.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);

    const ghost = packOf([fresh('first'), fresh('second'), fresh('third')]);
    const seen: unknown[] = [];
    for (const each of [pack, ghost]) {
      const id = await mallory.create({ producer: 'mallory' });
      const files = each.members.map(({ digest, size }, n) => ({ path: `f${n}`, digest, size }));
      const registered = await mallory.post(`/v1/packages/${id}/files`, { files });
      const planned = await mallory.post(`/v1/packages/${id}/uploads`, { objects: [objectOf(each)] });
      const downloads = await mallory.post(`/v1/packages/${id}/downloads`, {});
      const states = registered.body.files.map(({ state }: { state: string }) => state);
      const [one] = planned.body.uploads as [PlannedUpload];
      const commit = await mallory.post(`/v1/uploads/${one.upload_id}/commit`);
      seen.push([states, one.state, one.parts.map(shapeOf), downloads.body, commit.status, commit.body.code]);
    }
    t.deepEqual(seen[0], seen[1]);

    const id = await mallory.create({ producer: 'mallory' });
    await mallory.store(id, { mine: texts[1] as string });
    const { objects } = (await mallory.post(`/v1/packages/${id}/downloads`, {})).body as DownloadList;
    for (const { url, headers } of objects) {
      const whole = await (await fetch(url, { headers })).text();
      t.is(whole, texts[1] as string);
      for (const range of [undefined, `bytes=0-${pack.size - 1}`, 'bytes=0-99']) {
        const told = await (await fetch(url, { headers: range === undefined ? {} : { range } })).text();
        for (const other of [texts[0] as string, texts[2] as string]) t.false(told.includes(other), range ?? 'all');
      }
    }
  });

  test('objects are known by their signed URLs alone: whether one is there is told to nobody else', async (t) => {
    const { alice, mallory, service } = t.context;
    const id = await alice.preserve({ f: fresh('an object') }, { producer: 'alice' });
    const [object] = ((await alice.post(`/v1/packages/${id}/downloads`, {})).body as DownloadList).objects;
    const there = /obj_[0-9a-f]{32}/.exec(object?.url ?? '')?.[0] ?? `obj_${NOBODY}`;
    const query = `?expires=${Date.now() + 3_600_000}&signature=${'A'.repeat(43)}`;
    const answers = [
      await mallory.get(`/v1/objects/${there}${query}`),
      await mallory.get(`/v1/objects/obj_${NOBODY}${query}`),
    ];
    for (const answer of answers) t.like(answer, { status: 403, body: { code: 'invalid_signature' } });
    t.deepEqual(withoutIds(answers[0] as Answer), withoutIds(answers[1] as Answer));
    if (object?.url.startsWith(service.url)) {
      const mine = await mallory.preserve({ f: fresh('mine') }, { producer: 'mallory' });
      const [own] = ((await mallory.post(`/v1/packages/${mine}/downloads`, {})).body as DownloadList).objects;
      t.is((await mallory.get(own?.url.replace(/obj_[0-9a-f]{32}/, there) ?? '')).status, 403);
    }
  });

  test('who may only write reads no bytes, and gets none by a digest that it knows', async (t) => {
    const { alice, writer } = t.context;
    const text = fresh('readable to readers');
    const owner = await alice.preserve({ secret: text }, { producer: 'alice' });
    for (const path of ['files/secret', 'manifest', 'attestation']) {
      t.is((await writer.get(`/v1/packages/${owner}/${path}`)).body.code, 'forbidden', path);
    }
    t.is((await writer.post(`/v1/packages/${owner}/downloads`, {})).status, 403);
    const [files] = [(await writer.get(`/v1/packages/${owner}/files`)).body.items];
    const id = await writer.create({ producer: 'alice' });
    const registered = await writer.post(`/v1/packages/${id}/files`, {
      files: [{ path: 'x', digest: files[0].digest, size: files[0].size }],
    });
    t.is(registered.body.files[0].state, 'missing', 'it has the digest of the list, not the bytes');
    t.is((await writer.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    await writer.store(id, { x: text });
    t.is((await writer.post(`/v1/packages/${id}/finalize`)).status, 200);
    const again = await alice.create({ producer: 'alice' });
    const readers = await alice.post(`/v1/packages/${again}/files`, { files: [fileOf(text)] });
    t.is(readers.body.files[0].state, 'stored', 'a reader need not send what it may read');
  });
}

/** Everything that a package can be asked about a digest whose bytes the asker does not have. */
async function everyStep(api: Api, id: string, text: string): Promise<Answer[]> {
  const at = `/v1/packages/${id}`;
  const object = { digest: sha256(text), size: text.length };
  const planned = await api
    .post(`${at}/files`, { files: [fileOf(text)] })
    .then(async (registered) => [registered, await api.post(`${at}/uploads`, { objects: [object] })]);
  const upload: PlannedUpload = (planned[1] as Answer).body.uploads[0];
  return [
    ...planned,
    await api.get(at),
    await api.get(`${at}/files`),
    await api.get(`${at}/files/secret`),
    await api.post(`${at}/downloads`, {}),
    await api.post(`${at}/downloads`, { paths: ['secret'] }),
    await api.get(`/v1/uploads/${upload.upload_id}`),
    await api.post(`/v1/uploads/${upload.upload_id}/commit`),
    await api.call('PUT', `${at}/files/secret?digest=${sha256(text)}`, 'w'.repeat(text.length)),
    await api.post(`${at}/finalize`),
    await api.post(`${at}/finalize`, { file_count: 1, total_size: text.length }),
  ];
}

/** An answer without its ids, times, signatures, and the digest that was asked about. */
function comparable(answer: Answer, text: string): unknown {
  const told = JSON.stringify(withoutIds(answer))
    .replaceAll(sha256(text), 'DIGEST')
    .replaceAll(sha256(text).slice(7), 'HEX')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
  return told.replaceAll(/https?:[^"\\]+/g, 'URL').replaceAll(/x-amz-[a-z0-9-]+\\*":\\*"[^"\\]+/g, 'HEADER');
}

function shapeOf({ number, offset, size, received }: PartRequest): unknown {
  return { number, offset, size, received };
}

function objectOf({ digest, size, members }: TestPack) {
  return { digest, size, members };
}

function fileOf(text: string, path = 'secret') {
  return { path, digest: digestOf(text), size: text.length };
}

async function planOne(api: Api, id: string, object: object): Promise<PlannedUpload> {
  const answer = await api.post(`/v1/packages/${id}/uploads`, { objects: [object] });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body.uploads[0];
}

/** A text that no other test has, always as long. */
function fresh(what: string): string {
  return `${what} ${randomBytes(16).toString('hex')}`.padEnd(80).slice(0, 80);
}
