import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { apiOf } from '../support/api.ts';
import { startCrashProcess } from '../support/crash-process.ts';
import { startReceiver } from '../support/receiver.ts';

const SERVER = new URL('../support/webhook-server.ts', import.meta.url);

test('a service that is killed after it sent, and before it recorded that, sends it once more; nothing is lost', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'artifact-store-webhooks-'));
  const env = {
    ARTIFACT_STORE_PORT: '0',
    ARTIFACT_STORE_DATA_DIR: dataDir,
    ARTIFACT_STORE_LOG_LEVEL: 'silent',
    ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1',
  };
  let service = await startCrashProcess(SERVER, env);
  const third = Promise.withResolvers<void>();
  const receiver = await startReceiver(() => {
    if (receiver.received.length < 3) return 200;
    third.resolve();
    return undefined;
  });
  t.teardown(async () => {
    await service.kill();
    await receiver.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const api = apiOf(service.url);
  const made = await api.post('/v1/webhooks', { url: receiver.url, types: ['package.*'] });
  t.is(made.status, 201);
  const id = await api.preserve({ f: 'x' });
  const events = (await api.get(`/v1/audit?package_id=${id}`)).body.items as Array<{ id: string; action: string }>;
  const expected = events.filter(({ action }) => action.startsWith('package.')).map((event) => event.id);
  t.true(expected.length >= 4);
  await third.promise;
  await service.kill();
  const before = receiver.received.length;
  receiver.respond(() => 200);
  service = await startCrashProcess(SERVER, env);
  const last = expected.at(-1);
  await receiver.until((received) => received.slice(before).some(({ json }) => json.id === last));
  const ids = receiver.received.map(({ json }) => json.id as string);
  t.true(ids.slice(0, before).length < ids.length);
  t.deepEqual([...new Set(ids)], expected, 'all of them, in order');
  t.is(
    ids[2],
    ids.slice(before).find((each) => each === ids[2]),
    'what was under way comes again',
  );
});
