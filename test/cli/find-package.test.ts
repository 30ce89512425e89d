import test from 'ava';
import { apiOf } from '../support/api.ts';
import { cliOf } from '../support/cli-child.ts';
import { startTestService, type TestService } from '../support/service.ts';

const service: TestService = await startTestService();
const api = apiOf(service.url);
const cli = cliOf({ ARTIFACT_STORE_URL: service.url });
test.after.always(() => service.dispose());

const make = (producer: string, external_id: string) => api.preserve({ f: external_id }, { producer, external_id });

async function find(named: string): Promise<string | undefined> {
  return (await cli('show', named, '--json')).json.id;
}

test('an external id that several producers have needs its producer, and the message suggests both spellings', async (t) => {
  const one = await make('ci', 'build-7');
  const two = await make('ci-mistyped', 'build-7');
  const refused = await cli('show', 'build-7');
  t.is(refused.code, 2);
  for (const spelling of [`ci/build-7 (${one})`, `ci-mistyped/build-7 (${two})`]) {
    t.true(refused.stderr.includes(spelling), refused.stderr);
  }
  t.regex(refused.stderr, /Use PRODUCER\/EXTERNAL-ID, or the id\./);
  t.is(await find('ci/build-7'), one);
  t.is(await find('ci-mistyped/build-7'), two);
  t.is(await find(one), one);
  t.is((await cli('cat', 'ci/build-7', 'f')).stdout, 'build-7');
  const missing = await cli('show', 'nobody/build-7', '--json');
  t.like(missing, { code: 3, json: { error: { code: 'package_not_found' } } });
});

test('producers and external ids may contain slashes: every reading is tried, and only one may find something', async (t) => {
  const deep = await make('team/ci', 'nightly/2026/1');
  t.is(await find('nightly/2026/1'), deep);
  t.is(await find('team/ci/nightly/2026/1'), deep);
  t.is((await cli('show', 'team/ci/nightly/2026')).code, 3);
  const a = await make('team', 'x/y');
  const b = await make('team/x', 'y');
  const refused = await cli('show', 'team/x/y');
  t.is(refused.code, 2, 'two readings find something');
  t.true(refused.stderr.includes(a) && refused.stderr.includes(b), refused.stderr);
  t.is(await find('x/y'), a);
  t.is(await find('y'), b);
});

test('an open package is found while there is no other, and one that failed when there is nothing else', async (t) => {
  const fields = { producer: 'states', external_id: 'run' };
  const failed = await api.create(fields);
  await api.post(`/v1/packages/${failed}/fail`, { reason: 'x' });
  t.is(await find('run'), failed);
  const open = await api.create(fields);
  t.is(await find('run'), open);
  await api.store(open, { f: 'x' });
  await api.post(`/v1/packages/${open}/finalize`);
  const revision = await api.create({ ...fields, supersedes: open });
  t.is(await find('run'), open, 'a revision takes over when it is finalized');
  t.is(await find(revision), revision, 'by its own id it is found all the same');
});
