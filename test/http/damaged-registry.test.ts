import { randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

const FILES = 6_000;

interface Damaged {
  dataDir: string;
  /** Of a package whose files stand on damaged pages. */
  id: string;
}

/** A registry of some megabytes, whose pages in the middle are no longer what they were. */
async function damaged(t: ExecutionContext): Promise<Damaged> {
  const dataDir = await tempFolder(t);
  const service = await startTestService({ dataDir });
  const api = apiOf(service.url);
  const id = await api.create();
  for (let start = 0; start < FILES; start += 1_000) {
    const files = Array.from({ length: 1_000 }, (_, n) => ({
      path: `folder ${start}/file ${n}`,
      digest: sha256(`file ${start + n}`),
      size: 10,
    }));
    t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
  }
  await service.stop();
  const file = join(dataDir, 'registry.sqlite');
  const { size } = await stat(file);
  t.true(size > 1_000_000, `${size} bytes`);
  const handle = await open(file, 'r+');
  // Behind the first pages, where the roots of all tables are, which every start reads.
  const from = Math.floor(size / 2);
  await handle.write(randomBytes(Math.floor(size / 4)), 0, null, from);
  await handle.close();
  return { dataDir, id };
}

async function start(
  t: ExecutionContext,
  dataDir: string,
  options: TestServiceOptions = {},
): Promise<{ service: TestService; api: Api }> {
  const service = await startTestService({ dataDir, ...options });
  t.teardown(() => service.dispose());
  return { service, api: apiOf(service.url) };
}

/** Of readiness, what says that the registry is damaged. */
const NOT_READY = { status: 503, body: { status: 'not_ready' } };

test('a check in the background finds damaged pages that nobody has asked for, and the service is not ready from then on', async (t) => {
  const { dataDir } = await damaged(t);
  const { api } = await start(t, dataDir, { registryCheckDelay: 0 });
  t.is((await api.get('/healthz')).status, 200);
  let readiness = await api.get('/readyz');
  while (readiness.status === 200) readiness = await api.get('/readyz');
  t.like(readiness, NOT_READY);
  t.false(readiness.body.registry.ok);
  t.regex(readiness.body.registry.error, /registry_damaged/);
  t.false(JSON.stringify(readiness.body).includes(dataDir));
  const { checks } = (await api.get('/v1/diagnosis')).body;
  const registry = checks.find(({ name }: { name: string }) => name === 'registry');
  t.like(registry, { level: 'failure' });
  t.regex(registry.advice, /restore the registry from a backup/);
});

test('a request that meets damaged pages gets registry_damaged, and readiness remembers it', async (t) => {
  const { dataDir, id } = await damaged(t);
  const { api } = await start(t, dataDir);
  t.is((await api.get('/readyz')).status, 200, 'nobody knows yet');
  let met = await api.get(`/v1/packages/${id}/files?limit=1000`);
  for (let next = met.body.next_cursor; met.status === 200 && next; next = met.body.next_cursor) {
    met = await api.get(`/v1/packages/${id}/files?limit=1000&cursor=${next}`);
  }
  t.like(met, { status: 503, body: { code: 'registry_damaged' } });
  t.regex(met.body.detail, /restore the registry from a backup/);
  t.like(await api.get('/readyz'), NOT_READY);
  t.is((await api.get('/healthz')).status, 200);
});

test('a registry that is whole passes the check, and stopping ends one that is under way', async (t) => {
  const { service, api } = await start(t, await tempFolder(t), { registryCheckDelay: 0 });
  t.is((await api.get('/readyz')).status, 200);
  await api.preserve({ a: 'x' });
  t.is(service.services.registry.damage.seen, null);
});
