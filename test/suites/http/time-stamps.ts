import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest, { type ExecutionContext } from 'ava';
import { timeStampKey } from '../../../src/blobs/key-layout.ts';
import { loadConfig } from '../../../src/config.ts';
import { readCheckpoint } from '../../../src/core/checkpoint.ts';
import { readTimeStamp, TIME_STAMP_MAX } from '../../../src/core/time-stamp.ts';
import { rebuildRegistry } from '../../../src/rebuild-registry.ts';
import { timeStampAuthority } from '../../../src/time-stamp-authority.ts';
import { stampCheckpoint, type TimeStampAuthority } from '../../../src/usecases/stamp-checkpoint.ts';
import { type Api, apiOf } from '../../support/api.ts';
import { addEvents } from '../../support/audit-rows.ts';
import { type OpensslAuthority, opensslAuthority } from '../../support/openssl-authority.ts';
import { loseRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const never = new AbortController().signal;
const REPLY = 'application/timestamp-reply';
/** Between two stamps; ms. */
const INTERVAL = 600_000;

/** Time stamps of the audit's checkpoints, by a small real authority. */
export function timeStampSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);
  let openssl: OpensslAuthority;

  anyTest.before(() => {
    openssl = opensslAuthority();
  });
  anyTest.after.always(() => openssl?.dispose());

  async function place(t: ExecutionContext): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  /** An authority at a URL. @param answer gets the request; left out: the real one */
  async function authorityAt(
    t: ExecutionContext,
    answer: (response: ServerResponse, request: Buffer) => void = (response, request) =>
      response.setHeader('content-type', REPLY).end(openssl.answer(request)),
  ): Promise<{ url: string; asked: Buffer[] }> {
    const asked: Buffer[] = [];
    const server = createServer(async (request, response) => {
      const body = await buffer(request);
      asked.push(body);
      answer(response, body);
    });
    await new Promise<void>((listens) => server.listen(0, '127.0.0.1', listens));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsa?policy=a`, asked };
  }

  const stamp = (service: TestService, authority: TimeStampAuthority, interval = INTERVAL) =>
    stampCheckpoint(service.services, authority, interval, never);

  const timeStampOf = async (url: string, size: number) => {
    const answer = await fetch(`${url}/v1/log/timestamp?size=${size}`);
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      bytes: Buffer.from(await answer.arrayBuffer()),
    };
  };

  test('a configured authority stamps the newest checkpoint, and openssl verifies the stamp over the note that was given', async (t) => {
    const { url, asked } = await authorityAt(t);
    const env = { ARTIFACT_STORE_TIMESTAMP_URL: url };
    const service = await startTestService({ env, timeStamps: { look: 20, interval: 0 } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    t.is((await api.get('/v1/log')).body.time_stamp, null);
    await api.preserve({ a: 'kept' });
    const note: string = (await api.get('/v1/log/checkpoint')).body;
    const { size } = readCheckpoint(note);
    let made = null;
    while (made === null) {
      await sleep(10);
      made = (await api.get('/v1/log')).body.time_stamp;
    }
    t.is(made.size, size);
    const { status, type, bytes } = await timeStampOf(service.url, size);
    t.deepEqual([status, type], [200, REPLY]);
    t.true(openssl.verifies(bytes, note));
    t.false(openssl.verifies(bytes, `${note}\n`));
    t.true(Math.abs(readTimeStamp(bytes, Buffer.from(note), null) - Date.now()) < 3_600_000);
    t.is(asked.length, 1, 'a stamped checkpoint is not stamped again');

    await addEvents(service.services, 3);
    await api.get('/v1/log/checkpoint');
    while (made.size === size) {
      await sleep(10);
      made = (await api.get('/v1/log')).body.time_stamp;
    }
    t.is(made.size, size + 3);
    t.true((await timeStampOf(service.url, size)).bytes.equals(bytes), 'the older stamp is kept');
  });

  test('there is a stamp of one checkpoint in each interval, over all services, and of the newest', async (t) => {
    const { service, api } = await place(t);
    let asked = 0;
    const authority: TimeStampAuthority = async (request) => {
      asked += 1;
      return openssl.answer(request);
    };
    await stamp(service, authority);
    t.is(asked, 0, 'there is no checkpoint');
    const sizes: number[] = [];
    for (const _ of [1, 2, 3]) {
      await addEvents(service.services, 2);
      sizes.push(readCheckpoint((await api.get('/v1/log/checkpoint')).body).size);
      await stamp(service, authority);
      await stamp(service, authority);
    }
    t.is(asked, 1);
    service.sleepDays(1);
    await Promise.all([stamp(service, authority), stamp(service, authority)]);
    const stamped = await Promise.all(sizes.map(async (size) => (await timeStampOf(service.url, size)).status));
    t.deepEqual(stamped, [200, 404, 200], 'what is in between needs none');
    t.is((await api.get('/v1/log')).body.time_stamp.size, sizes[2]);
  });

  test('an authority that fails is asked again, holds up nothing, and nothing of what it said is kept', async (t) => {
    const { service, api } = await place(t);
    await addEvents(service.services, 1);
    const note: string = (await api.get('/v1/log/checkpoint')).body;
    const { size } = readCheckpoint(note);
    const foreign = openssl.answer(Buffer.from('not a query'));
    const reply = (response: ServerResponse) => response.setHeader('content-type', REPLY);
    const failing: Array<[string, RegExp, (response: ServerResponse, request: Buffer) => void]> = [
      ['an error', /has answered 503, without a type/, (response) => response.writeHead(503).end()],
      [
        'another type',
        /has answered 200, text\/html/,
        (response) => response.setHeader('content-type', 'text/html').end('<p>'),
      ],
      ['a redirect', /has answered 302/, (response) => response.writeHead(302, { location: '/elsewhere' }).end()],
      ['nothing', /is no RFC 3161 time stamp/, (response) => reply(response).end()],
      ['garbage', /is no RFC 3161 time stamp/, (response) => reply(response).end('garbage')],
      ['a refusal', /is a refusal, with status 2/, (response) => reply(response).end(foreign)],
      [
        'too much',
        new RegExp(`more than ${TIME_STAMP_MAX} bytes`),
        (response) => reply(response).end(Buffer.alloc(TIME_STAMP_MAX + 1)),
      ],
      ['a reset', /./, (response) => response.destroy()],
      ['half an answer', /./, (response) => reply(response).write('x', () => response.destroy())],
      ['no answer', /imeout/, () => {}],
    ];
    for (const [what, says, answer] of failing) {
      const { url } = await authorityAt(t, answer);
      const patience = what === 'no answer' ? 100 : 10_000;
      await t.throwsAsync(stamp(service, timeStampAuthority(url, {}, patience)), { message: says }, what);
    }
    const replayed = openssl.answer((await firstRequest(service)) as Buffer);
    await t.throwsAsync(
      stamp(service, async () => replayed),
      { message: /answers another question/ },
    );
    t.like(await timeStampOf(service.url, size), { status: 404 });
    t.like(await api.get(`/v1/log/timestamp?size=${size}`), { body: { code: 'timestamp_not_found' } });
    t.is((await api.get('/v1/log/checkpoint')).body, note);

    const { url } = await authorityAt(t);
    await stamp(service, timeStampAuthority(url, {}));
    t.true(openssl.verifies((await timeStampOf(service.url, size)).bytes, note));
    t.is((await api.get('/v1/log/timestamp')).status, 422);
  });

  /** What the service asks of an authority, which fails. */
  async function firstRequest(service: TestService): Promise<Buffer | null> {
    let asked: Buffer | null = null;
    await stamp(service, async (request) => {
      asked = request;
      throw new Error('down');
    }).catch(() => {});
    return asked;
  }

  test('a stop ends the wait for an authority that does not answer', async (t) => {
    let reached = (): void => {};
    const waits = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const { url } = await authorityAt(t, () => reached());
    const env = { ARTIFACT_STORE_TIMESTAMP_URL: url };
    const service = await startTestService({ env, timeStamps: { look: 20, interval: 0 } });
    const api = apiOf(service.url);
    await api.preserve({ a: 'kept' });
    await api.get('/v1/log/checkpoint');
    await waits;
    await t.notThrowsAsync(service.dispose());
  });

  test('a stamp that storage has is taken as it is: after a kill before the registry had it, and after the registry was lost', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'kept' });
    const note: string = (await api.get('/v1/log/checkpoint')).body;
    const { size } = readCheckpoint(note);
    const { registry } = service.services;
    const killed = {
      ...service.services,
      registry: { ...registry, transaction: () => Promise.reject(new Error('killed')) } as typeof registry,
    };
    const authority: TimeStampAuthority = async (request) => openssl.answer(request);
    await t.throwsAsync(stampCheckpoint(killed, authority, INTERVAL, never), { message: 'killed' });
    const first = await stored(service, size);
    const nobody: TimeStampAuthority = () => Promise.reject(new Error('nobody is asked'));
    await stamp(service, nobody);
    t.is((await api.get('/v1/log')).body.time_stamp.size, size);

    await service.stop();
    await loseRegistry(service.env);
    await rebuildRegistry(loadConfig(service.env), { signal: never, tell: () => {} });
    const again = await startTestService({ dataDir: service.dataDir });
    t.teardown(() => again.dispose());
    t.true((await timeStampOf(again.url, size)).bytes.equals(first), 'served from storage alone');
    await again.services.auditLog.checkpoint();
    t.is((await apiOf(again.url).get(`/v1/log/checkpoint?size=${size}`)).body, note);
  });

  test('what stands in storage in the place of a stamp and is none, or of something else, is replaced', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'kept' });
    const note: string = (await api.get('/v1/log/checkpoint')).body;
    const { size } = readCheckpoint(note);
    async function* garbage() {
      yield Buffer.from('no stamp');
    }
    await service.services.blobs.objects.write(timeStampKey(size), garbage());
    t.is((await timeStampOf(service.url, size)).status, 404);
    await stamp(service, async (request) => openssl.answer(request));
    t.true(openssl.verifies(await stored(service, size), note));
  });

  async function stored({ services }: TestService, size: number): Promise<Buffer> {
    return buffer(await services.blobs.objects.open({ key: timeStampKey(size), versionId: null }));
  }
}
