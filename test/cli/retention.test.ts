import test from 'ava';
import { apiOf } from '../support/api.ts';
import { cliOf } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';

const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);
const cli = cliOf({ ARTIFACT_STORE_URL: service.url });

let made = 0;
const preserve = (fields: Record<string, unknown> = {}): Promise<string> =>
  api.preserve({ 'a.txt': `content ${made++}` }, { external_id: `run-${made}`, ...fields });

test('extend moves the expiry later, by days from the current expiry or until a day, and never earlier', async (t) => {
  const id = await preserve();
  const before = (await api.get(`/v1/packages/${id}`)).body.retention.expires_at;

  const extended = await cli('extend', id, '--days', '30', '--reason', 'an audit', '--json');
  t.is(extended.code, 0, extended.stderr);
  t.is(Date.parse(extended.json.expires_at) - Date.parse(before), 30 * 86_400_000);
  t.is(extended.json.events.at(-1).reason, 'an audit');

  const until = await cli('extend', id, '--until', '2031-12-31', '--reason', 'certification');
  t.is(until.code, 0, until.stderr);
  t.regex(until.stdout, new RegExp(`^${id} expires in [\\d,]+ days, on 2031-12-31; it was in \\d+ days, on `));
  t.is((await api.get(`/v1/packages/${id}`)).body.retention.expires_at, '2031-12-31T23:59:59.000Z');

  const earlier = await cli('extend', id, '--until', '2030-01-01', '--reason', 'no', '--json');
  t.is(earlier.code, 4);
  t.is(earlier.json.error.code, 'not_later');
});

test('extend wants one of --until and --days, a reason, and a day that exists', async (t) => {
  for (const args of [
    ['--reason', 'r'],
    ['--days', '3', '--until', '2031-01-01', '--reason', 'r'],
    ['--days', '3'],
    ['--days', '0', '--reason', 'r'],
    ['--days', '1.5', '--reason', 'r'],
    ['--until', '2031-02-30', '--reason', 'r'],
    ['--until', 'tomorrow', '--reason', 'r'],
    ['--until', '2031-01-01T12:00:00', '--reason', 'r'],
  ]) {
    const refused = await cli('extend', 'pkg', ...args);
    t.is(refused.code, 2, `${args.join(' ')}: ${refused.stderr}`);
  }
});

test('what never expires cannot be extended', async (t) => {
  const id = await preserve({ retention_class: 'permanent-record' });
  const refused = await cli('extend', id, '--days', '1', '--reason', 'r', '--json');
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'never_expires');
  t.regex((await cli('retention', id)).stdout, /expires\s+never\n.*must be kept forever/);
});

test('a retained package is not deleted; a hold blocks even an expired one; after its release it is deleted', async (t) => {
  const id = await preserve({ retention_class: 'transient' });
  const retained = await cli('rm', id, '--reason', 'cleaning up', '--json');
  t.is(retained.code, 4);
  t.is(retained.json.error.code, 'retention_active');

  const placed = await cli('hold', id, '--reason', 'disputed', '--reference', 'CASE-17', '--json');
  t.is(placed.code, 0, placed.stderr);
  t.like(placed.json, { package_id: id, reason: 'disputed', reference: 'CASE-17' });

  service.sleepDays(8);
  t.false((await eligibleIds()).includes(id));
  const held = await cli('rm', id, '--reason', 'cleaning up', '--json');
  t.is(held.code, 4);
  t.is(held.json.error.code, 'held');
  t.regex((await cli('retention', id)).stdout, /a hold blocks the deletion[\s\S]*disputed \(CASE-17\)/);

  const released = await cli('release', id, '--reason', 'settled');
  t.is(released.code, 0, released.stderr);
  t.regex(released.stdout, /is released; nothing holds/);
  t.true((await eligibleIds()).includes(id));
  t.is((await cli('rm', id, '--reason', 'expired')).code, 0);
  t.is((await api.get(`/v1/packages/${id}`)).body.status, 'deleted');
  t.false((await eligibleIds()).includes(id));
});

async function eligibleIds(): Promise<string[]> {
  const listed = await cli('eligible', '--all', '--json');
  return listed.json.items.map((item: { package_id: string }) => item.package_id);
}

test('release requires a hold id if there are several, and reports if there is none', async (t) => {
  const id = await preserve();
  t.is((await cli('release', id, '--reason', 'r')).code, 3);
  const holds = [];
  for (const reason of ['first', 'second']) holds.push((await cli('hold', id, '--reason', reason, '--json')).json.id);
  const unclear = await cli('release', id, '--reason', 'r');
  t.is(unclear.code, 2);
  t.true(holds.every((hold) => unclear.stderr.includes(hold)));
  const released = await cli('release', id, holds[1], '--reason', 'r', '--json');
  t.like(released.json, { id: holds[1], release_reason: 'r' });
  t.regex((await cli('release', id, '--reason', 'r')).stdout, new RegExp(holds[0]));
});

test('retention prints the history; a reason cannot control a terminal', async (t) => {
  const id = await preserve();
  await cli('extend', id, '--days', '1', '--reason', 'red \u001b[31malert');
  const shown = await cli('retention', id);
  t.regex(shown.stdout, /class\s+raw-evidence/);
  t.regex(shown.stdout, /decision\s+must be kept: it has not expired/);
  t.regex(shown.stdout, /extended by .*: red \\u001b\[31malert/);
  t.false(shown.stdout.includes('\u001b'));
});

test('a package that is not there: exit 3', async (t) => {
  for (const args of [
    ['retention', 'pkg_019a00000000700080000000000000ff'],
    ['extend', 'nothing', '--days', '1', '--reason', 'r'],
    ['rm', 'nothing', '--reason', 'r'],
  ]) {
    t.is((await cli(...args)).code, 3, args.join(' '));
  }
});
