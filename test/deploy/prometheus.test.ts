import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { apiOf } from '../support/api.ts';
import { metricsOf, typesOfMetrics } from '../support/metrics.ts';
import { PROMTOOL } from '../support/promtool.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

/** The rules and the board: by Prometheus's own reader, and by what a running service serves. */
const ROOT = resolve(import.meta.dirname, '../..');
const RULES = join(ROOT, 'docs/alerts.yaml');

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Array<{ refId: string; expr: string }>;
}

async function board(): Promise<{ panels: Panel[]; templating: { list: Array<{ name: string; query: string }> } }> {
  return JSON.parse(await readFile(join(ROOT, 'deploy/grafana/artifact-store.json'), 'utf8'));
}

/** With what Grafana puts in the place of its variables. */
function filled(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'artifact-store').replaceAll('$instance', '.*');
}

const promtool = await required('The rules for Prometheus', PROMTOOL);
if (promtool !== null) {
  test('promtool reads the rules, and three of them say what they should on made-up numbers', async (t) => {
    const { groups } = parse(await readFile(RULES, 'utf8')) as { groups: Array<{ rules: unknown[] }> };
    const rules = groups.flatMap((group) => group.rules).length;
    t.true((await promtool('check', 'rules', RULES)).includes(`SUCCESS: ${rules} rules found`));
    t.regex(await promtool('test', 'rules', join(ROOT, 'test/deploy/alerts.test.yaml')), /SUCCESS/);
  });

  test('promtool reads every expression of the board', async (t) => {
    const { panels } = await board();
    const exprs = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => filled(expr)));
    const rules = exprs.map((expr, at) => ({ record: `board:${at}`, expr }));
    const file = join(await tempFolder(t), 'board.yaml');
    await writeFile(file, stringify({ groups: [{ name: 'board', rules }] }));
    t.true((await promtool('check', 'rules', file)).includes(`SUCCESS: ${exprs.length} rules found`));
  });
}

test('the board asks for metrics and labels that the service has', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const types = await typesOfMetrics(api);
  const labels = new Map<string, Set<string>>();
  for (const series of (await metricsOf(api)).keys()) {
    const [name = '', rest = ''] = series.split('{');
    const known = labels.get(name) ?? new Set(['job', 'instance']);
    for (const [, label] of rest.matchAll(/(\w+)="/g)) known.add(label as string);
    labels.set(name, known);
  }
  const { panels, templating } = await board();
  const asked = [
    ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
    ...templating.list.map(({ name, query }) => [name, query] as const),
  ];
  let names = 0;
  for (const [title, expr] of asked) {
    for (const [, name = '', selector = ''] of expr.matchAll(
      /\b((?:artifact_store|nodejs|process)_\w+)(?:\{([^}]*)\})?/g,
    )) {
      names += 1;
      const histogram = name.replace(/_(bucket|count|sum)$/, '');
      t.true(types.has(name) || types.get(histogram) === 'histogram', `${title}: ${name}`);
      // A series that has no number yet shows no labels.
      const known = labels.get(name);
      for (const [, label = ''] of selector.matchAll(/(\w+)!?=~?"/g))
        if (known !== undefined) t.true(known.has(label), `${title}: ${name} has no ${label}`);
    }
    for (const [, list = ''] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of list.split(/, */)) {
        const all = new Set([...labels.values()].flatMap((known) => [...known]));
        t.true(
          all.has(label) || ['result', 'code', 'what', 'work', 'operation', 'state'].includes(label),
          `${title}: ${label}`,
        );
      }
    }
  }
  t.true(names > 30, `${names} names`);
});

test('the panels of the board have ids of their own, and none covers another', async (t) => {
  const { panels } = await board();
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  );
  t.is(new Set(cells).size, cells.length);
  t.true(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  for (const { type, targets } of panels) t.is(type === 'row', targets === undefined);
});
