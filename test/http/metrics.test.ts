import { readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { parse } from 'yaml';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { metricsSuite } from '../suites/http/metrics.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { metricsOf, nonZero, typesOfMetrics } from '../support/metrics.ts';
import { errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { ADMIN_TOKEN } from '../support/tokens.ts';

metricsSuite(startTestService);

async function start(t: ExecutionContext, options: TestServiceOptions = {}): Promise<TestService> {
  const service = await startTestService(options);
  t.teardown(() => service.dispose());
  return service;
}

test('errors of storage are counted by operation and code, and what failed by them', async (t) => {
  let broken: { name: string; code: string } | null = null;
  const { files } = recordingFileLayer(({ name }) => {
    if (name === broken?.name) throw errno(broken.code);
  });
  const { url } = await start(t, { files });
  const api = apiOf(url);
  const id = await api.create();
  const object = { digest: sha256('bbb'), size: 3 };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'b', ...object }] });
  const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
  broken = { name: 'sync', code: 'ENOSPC' };
  t.is((await api.send(upload.parts[0], Buffer.from('bbb'))).status, 507);
  broken = { name: 'link', code: 'EIO' };
  t.is((await api.call('PUT', `/v1/packages/${id}/files/a`, 'aaa')).status, 503);
  broken = null;
  t.is((await api.call('PUT', `/v1/packages/${id}/files/a`, 'aaa')).status, 201);
  const whole = await api.create();
  await api.store(whole, { c: 'ccc' });
  broken = { name: 'create', code: 'EIO' };
  t.is((await api.post(`/v1/packages/${whole}/finalize`)).status, 503);
  broken = { name: 'open', code: 'EIO' };
  t.is((await api.get(`/v1/packages/${id}/files/a`)).status, 503);
  broken = null;
  const metrics = await metricsOf(api);
  t.deepEqual(nonZero(metrics, 'artifact_store_storage_errors_total'), {
    '{operation="receive_part",code="no_space"}': 1,
    '{operation="deliver_part",code="unavailable"}': 1,
    '{operation="write",code="unavailable"}': 1,
    '{operation="open",code="unavailable"}': 1,
  });
  t.deepEqual(nonZero(metrics, 'artifact_store_registry_errors_total'), {});
});

test('while the registry does not answer, its errors are counted and the gauges keep the last count', async (t) => {
  let db: Knex | undefined;
  const { url } = await start(t, {
    env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN },
    connect: (file) => {
      db = connectSqlite(file);
      return db;
    },
  });
  const api = apiOf(url, ADMIN_TOKEN);
  const id = await api.preserve({ a: 'hello' });
  const before = await metricsOf(api);
  t.is(before.get('artifact_store_packages{status="finalized"}'), 1);
  await db?.destroy();
  t.is((await api.get(`/v1/packages/${id}`)).status, 500);
  t.is((await api.post('/v1/packages', { name: 'a', producer: 'b' })).status, 500);
  const metrics = await metricsOf(api);
  t.deepEqual(nonZero(metrics, 'artifact_store_registry_errors_total'), {
    // The package, and whether the metrics are for tokens alone.
    '{operation="read",code="internal"}': 2,
    '{operation="transaction",code="internal"}': 1,
  });
  t.is(metrics.get('artifact_store_packages{status="finalized"}'), 1);
});

const DOCS = new URL('../../docs/', import.meta.url);

test('docs/operations.md has every metric of the service with its type, and no other', async (t) => {
  const { url } = await start(t);
  const served = [...(await typesOfMetrics(apiOf(url)))].filter(([name]) => name.startsWith('artifact_store_'));
  const page = await readFile(new URL('operations.md', DOCS), 'utf8');
  const rows = page.matchAll(
    /^\| `(artifact_store_\w+)` \| (counter|gauge|histogram) \| (process|registry) \| .+ \|$/gm,
  );
  const told = [...rows].map(([, name, type]) => [name as string, type as string]);
  t.deepEqual(told.toSorted(), served.toSorted());
});

test('docs/alerts.yaml has rules with texts, of metrics that the service has', async (t) => {
  const { url } = await start(t);
  const types = await typesOfMetrics(apiOf(url));
  const labels = new Set(
    [...(await metricsOf(apiOf(url))).keys()].flatMap((series) =>
      [...series.matchAll(/(\w+)="/g)].map(([, label]) => label),
    ),
  );
  const { groups } = parse(await readFile(new URL('alerts.yaml', DOCS), 'utf8')) as {
    groups: Array<{
      rules: Array<{ alert: string; expr: string; labels: object; annotations: Record<string, string> }>;
    }>;
  };
  const rules = groups.flatMap((group) => group.rules);
  t.is(rules.length, 18);
  t.is(new Set(rules.map(({ alert }) => alert)).size, 18);
  for (const { alert, expr, annotations } of rules) {
    // Prometheus itself says whether it could scrape a target.
    const names = expr.match(/\b(artifact_store|nodejs|process)_\w+/g) ?? (/^up\{/.test(expr) ? [] : ['none']);
    for (const name of names) {
      const histogram = name.replace(/_(bucket|count|sum)$/, '');
      t.true(types.has(name) || types.get(histogram) === 'histogram', `${alert}: ${name}`);
    }
    for (const [, label] of expr.matchAll(/(\w+)!?=~?"/g))
      t.true(labels.has(label) || label === 'job', `${alert}: ${label}`);
    t.regex(annotations.summary ?? '', /\.$/, alert);
    t.regex(annotations.next ?? '', /\S/, alert);
  }
});
