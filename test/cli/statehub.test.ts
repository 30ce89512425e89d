import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { postEvent } from '../../cli/statehub.ts';
import { progressUrl, statehubUrlProblem } from '../../cli/statehub-url.ts';
import type { Link } from '../../src/api/types.ts';
import { startStatehub, type TestStatehub } from '../support/statehub.ts';

const EVENT: Link['event'] = {
  event_type: 'artifact_link',
  author: 'tester',
  summary: 'a run was preserved',
  detail: { package_id: 'pkg_1' },
};
const QUICK = { timeoutMs: 10_000, tries: 2, pauseMs: 1 };

/** Closed when the test ends. */
async function statehub(t: ExecutionContext, ...options: Parameters<typeof startStatehub>): Promise<TestStatehub> {
  const hub = await startStatehub(...options);
  t.teardown(() => hub.close());
  return hub;
}

test('the event arrives once, as it is, at /progress/', async (t) => {
  const { url, received } = await statehub(t, [201]);
  t.deepEqual(await postEvent(`${url}/`, EVENT, QUICK), { posted: true });
  t.is(received.length, 1);
  t.like(received[0], { method: 'POST', path: '/progress/' });
  t.deepEqual(JSON.parse(received[0]?.body ?? ''), EVENT);
});

test('transient failures are retried, others are not', async (t) => {
  const passing = await statehub(t, [503, 201]);
  t.deepEqual(await postEvent(passing.url, EVENT, QUICK), { posted: true });
  t.is(passing.received.length, 2);

  const down = await statehub(t, [500]);
  const failed = await postEvent(down.url, EVENT, QUICK);
  t.is(down.received.length, 2);
  t.regex(failed.posted ? '' : failed.error, /answered 500/);

  const refusing = await statehub(t, [422]);
  t.false((await postEvent(refusing.url, EVENT, QUICK)).posted);
  t.is(refusing.received.length, 1);
});

test('a redirect is no success: it would turn the POST into a GET', async (t) => {
  const { url, received } = await statehub(t, [302], { location: 'https://elsewhere.test/login' });
  const outcome = await postEvent(url, EVENT, QUICK);
  t.regex(outcome.posted ? '' : outcome.error, /answered 302 Found, pointing to https:\/\/elsewhere\.test\/login/);
  t.is(received.length, 1);
});

test('nobody there, and nobody answering', async (t) => {
  const { url, close } = await statehub(t, [200]);
  await close();
  const refused = await postEvent(url, EVENT, QUICK);
  t.regex(refused.posted ? '' : refused.error, /cannot be reached \(ECONNREFUSED\)/);

  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const outcome = await postEvent(address, EVENT, { timeoutMs: 50, tries: 1, pauseMs: 1 });
  t.regex(outcome.posted ? '' : outcome.error, /no answer within 50 ms/);
});

test('addresses', (t) => {
  t.is(progressUrl('http://hub.test/api/'), 'http://hub.test/api/progress/');
  t.is(statehubUrlProblem('https://hub.test/api'), null);
  for (const bad of ['hub', 'ftp://hub.test', 'http://me:secret@hub.test', 'http://hub.test/?x=1']) {
    t.truthy(statehubUrlProblem(bad), bad);
  }
});
