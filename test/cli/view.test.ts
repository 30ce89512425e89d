import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { coloursFor, renderText } from '../../cli/text.ts';
import { guideBoardLines } from '../../cli/view/guide-board-lines.ts';
import { alignLines } from '../../cli/view/lines.ts';
import { sayExpiry } from '../../src/core/expiry-text.ts';
import { DAY_MS } from '../../src/core/retention.ts';
import { apiOf } from '../support/api.ts';
import { cliOf } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);
const cli = cliOf({ ARTIFACT_STORE_URL: service.url });

test('ls filters by every field and by metadata', async (t) => {
  const fields = {
    producer: 'lister',
    subject: 'alpha',
    external_id: 'ls-1',
    metadata: { result: 'pass', run: { nth: 1 } },
  };
  const first = await api.preserve({ a: '1' }, { ...fields, retention_class: 'transient' });
  const second = await api.create({ producer: 'lister', subject: 'beta', metadata: { result: 'fail' } });
  const ids = async (...args: string[]): Promise<string[]> => {
    const listed = await cli('ls', '--producer', 'lister', ...args, '--json');
    t.is(listed.code, 0, listed.stderr);
    return listed.json.items.map((pkg: { id: string }) => pkg.id);
  };
  t.deepEqual(await ids(), [second, first]);
  t.deepEqual(await ids('--subject', 'alpha'), [first]);
  t.deepEqual(await ids('--external-id', 'ls-1'), [first]);
  t.deepEqual(await ids('--status', 'created'), [second]);
  t.deepEqual(await ids('--retention-class', 'transient'), [first]);
  t.deepEqual(await ids('--metadata', 'result=pass', '--metadata', 'run.nth=1'), [first]);
  t.deepEqual(await ids('--metadata', 'result=pass', '--subject', 'beta'), []);
  t.is((await cli('ls', '--metadata', 'result')).code, 2);
  t.is((await cli('ls', '--status', 'lost')).code, 2);
});

test('ls is a table; it pages, and says when there is more', async (t) => {
  for (let nth = 0; nth < 5; nth += 1) await api.create({ producer: 'pager', name: `package ${nth}` });
  const some = await cli('ls', '--producer', 'pager', '--limit', '2');
  const lines = some.stdout.trimEnd().split('\n');
  t.is(lines.length, 3);
  t.regex(lines[0] ?? '', /^PACKAGE +STATUS +PRODUCER +NAME +SUBJECT +FILES +SIZE +CREATED +EXPIRES$/);
  t.regex(lines[1] ?? '', /^pkg_\w{32} +created +pager +package 4 +– +0 +0 B +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d$/);
  t.regex(some.stderr, /There are more than these 2: --all shows all/);
  const all = await cli('ls', '--producer', 'pager', '--all', '--json');
  t.is(all.json.items.length, 5);
  t.is(all.json.next_cursor, null);
  t.is((await cli('ls', '--producer', 'nobody')).stdout, 'No packages.\n');
});

test('show takes an id or an external id that is unique, and the newest of its revisions', async (t) => {
  const old = await api.preserve({ a: '1' }, { producer: 'one', external_id: 'run-x' });
  t.is((await cli('show', 'run-x', '--json')).json.id, old);
  const newer = await api.preserve({ a: '2' }, { producer: 'one', external_id: 'run-x', supersedes: old });
  t.is((await cli('show', 'run-x', '--json')).json.id, newer);
  t.regex((await cli('show', old)).stdout, new RegExp(`superseded by +${newer}`));
  const other = await api.preserve({ a: '1' }, { producer: 'two', external_id: 'run-x' });
  const unclear = await cli('show', 'run-x');
  t.is(unclear.code, 2);
  t.true(unclear.stderr.includes(newer) && unclear.stderr.includes(other));
  t.is((await cli('show', 'run-nowhere')).code, 3);
});

test('show prints name, files, expiry in words, holds and link; text from elsewhere cannot control a terminal', async (t) => {
  const id = await api.preserve(
    { 'a.txt': 'abc', 'b.txt': 'defg' },
    { name: 'a name', metadata: { colour: 'red\u009b31m', list: [1, 2], nested: { x: 1 } } },
  );
  await api.post(`/v1/packages/${id}/holds`, { reason: 'line\nbreak \u001b[2J', reference: 'CASE-1' });
  const shown = await cli('show', id);
  t.is(shown.code, 0, shown.stderr);
  for (const expected of [
    /^a name\n/,
    new RegExp(`id +${id}\n`),
    /files +2 files, 7 B; stored in 7 B\n/,
    /retention +raw-evidence, expires in (89|90) days, on \d{4}-\d\d-\d\d\n/,
    /holds +hold_\w+: line\\u000abreak \\u001b\[2J \(CASE-1\), by .* since /,
    new RegExp(`link +${service.url}/v1/packages/${id}\n`),
    /colour +red\\u009b31m\n/,
    /list +2 entries\n/,
    /nested +1 member\n?/,
  ]) {
    t.regex(shown.stdout, expected);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  t.notRegex(shown.stdout, /[\u001b\u009b]/);
});

test('manifest gives the exact bytes, and the list that sha256sum reads', async (t) => {
  const id = await api.preserve({ 'a.txt': 'abc', 'b c.txt': '' }, { external_id: 'with-manifest' });
  const { manifest_digest } = (await api.get(`/v1/packages/${id}`)).body;
  const manifest = await cli('manifest', 'with-manifest');
  t.is(`sha256:${hash('sha256', manifest.stdout)}`, manifest_digest);
  t.is(
    (await cli('manifest', id, '--format', 'sha256sum')).stdout,
    `${hash('sha256', 'abc')}  a.txt\n${hash('sha256', '')}  b c.txt\n`,
  );
  t.is((await cli('manifest', id, '--json')).code, 2);
  t.is((await cli('manifest', await api.create())).code, 4);
});

test('sha256sum itself reads the list, whatever the files are called', async (t) => {
  const names = [
    '-',
    '--help',
    '-c',
    'sub/-',
    '*star',
    ' lead',
    'trail ',
    '#comment',
    'back\\slash',
    '\\n',
    'SHA256 (x) = y',
    'é',
  ];
  const files = Object.fromEntries(names.map((name, nth) => [name, `content ${nth}`]));
  const folder = await writeTree(await tempFolder(t), files);
  const { stdout } = await cli('manifest', await api.preserve(files), '--format', 'sha256sum');
  const checked = spawnSync('sha256sum', ['-c', '--strict', '--quiet'], {
    cwd: folder,
    input: stdout,
    encoding: 'utf8',
  });
  t.is(checked.status, 0, checked.stderr + checked.stdout);
  await writeTree(folder, { '-': 'other bytes' });
  const differs = spawnSync('sha256sum', ['-c', '--strict', '--quiet'], {
    cwd: folder,
    input: stdout,
    encoding: 'utf8',
  });
  t.is(differs.status, 1);
  t.is(differs.stdout, './-: FAILED\n');
});

test('link prints the event for Statehub', async (t) => {
  const id = await api.preserve({ 'a.txt': 'abc' });
  const event = JSON.parse((await cli('link', id, '--author', 'me', '--workstream', 'ws', '--task', 'ta')).stdout);
  t.like(event, { event_type: 'artifact_link', author: 'me', workstream_id: 'ws', task_id: 'ta' });
  t.is(event.detail.package_id, id);
  t.like((await cli('link', id, '--json')).json, { package_id: id, url: `${service.url}/v1/packages/${id}` });
  t.is((await cli('link', id, '--post', 'ftp://hub')).code, 2);
});

test('expiry in words, at the borders of its units', (t) => {
  const now = Date.parse('2026-11-27T21:00:00Z');
  const said = (time: string) => sayExpiry(time, now);
  t.is(said('2027-02-25T20:59:59Z'), 'in 90 days, on 2027-02-25');
  t.is(said('2027-02-25T21:00:00Z'), 'in 90 days, on 2027-02-25');
  t.is(said('2027-02-26T00:00:00Z'), 'in 91 days, on 2027-02-26');
  t.is(said('2026-11-29T21:00:00Z'), 'in 2 days, on 2026-11-29');
  t.is(said('2026-11-29T20:59:59Z'), 'in 48 hours, at 2026-11-29 20:59 UTC');
  t.is(said('2026-11-28T20:00:00Z'), 'in 23 hours, at 2026-11-28 20:00 UTC');
  t.is(said('2026-11-27T21:59:30Z'), 'in 1 hour, at 2026-11-27 21:59 UTC');
  t.is(said('2026-11-27T21:59:29Z'), 'in 59 minutes, at 2026-11-27 21:59 UTC');
  t.is(said('2026-11-27T21:00:29Z'), 'in less than a minute, at 2026-11-27 21:00 UTC');
  t.is(said('2026-11-27T20:59:59Z'), 'less than a minute ago, at 2026-11-27 20:59 UTC');
  t.is(said('2026-11-27T20:00:00Z'), '1 hour ago, at 2026-11-27 20:00 UTC');
  t.is(said('2026-11-24T23:00:00Z'), '3 days ago, on 2026-11-24');
  t.is(sayExpiry(null, now), 'never');
});

test('expiry in words: today plus the printed distance gives the printed date', (t) => {
  const time = fc.date({ min: new Date('2000-01-01'), max: new Date('2200-01-01'), noInvalidDate: true });
  const near = fc.integer({ min: -4 * DAY_MS, max: 4 * DAY_MS });
  const property = fc.property(time, fc.oneof(near, fc.integer({ min: -4e12, max: 4e12 })), (today, distance) => {
    const now = today.getTime();
    const at = now + distance;
    const said = sayExpiry(new Date(at).toISOString(), now);
    const [, many = '', unit] = /([\d,]+) (day|hour|minute)/.exec(said) ?? [];
    const count = Number(many.replaceAll(',', '')) * (said.includes(' ago') ? -1 : 1);
    const midnight = Math.floor(now / DAY_MS) * DAY_MS;
    if (unit === 'day') t.true(said.endsWith(new Date(midnight + count * DAY_MS).toISOString().slice(0, 10)), said);
    const size = unit === 'hour' ? 3_600_000 : 60_000;
    if (unit !== 'day') t.true(Math.abs(now + count * size - at) <= size / 2 || said.includes('less than'), said);
  });
  fc.assert(property, { numRuns: 2_000 });
});

test('colour on a terminal only, and never with NO_COLOR', (t) => {
  const line = [['label', 'text']] as const;
  const painted = (isTTY: boolean, env: Record<string, string>): boolean =>
    renderText(alignLines(line), coloursFor({ isTTY }, env)).includes('\u001b[');
  t.true(painted(true, {}));
  t.false(painted(true, { NO_COLOR: '1' }));
  t.false(painted(true, { TERM: 'dumb' }));
  t.false(painted(false, {}));
});

test('a guide-board package whose metadata is not what this version writes is shown all the same', (t) => {
  t.notThrows(() => guideBoardLines({}));
  const lines = guideBoardLines({ run_id: 7, evidence_counts: 'many', report_paths: {}, discrepancies: [null, 'x'] });
  t.deepEqual(lines[0], ['run', '7']);
});
