import test from 'ava';
import { agree, type Decision, decisionBytes, parseDecision } from '../../src/core/decision.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { retell } from '../../src/core/package-history.ts';
import { DAY_MS } from '../../src/core/retention.ts';

const ID = newId('pkg', 1_000) as PackageId;
const PKG = { id: ID, created_at: 1_000, finalized_at: 5_000 };
const HOLD = newId('hold', 7_000);

function decision(at: number, action: Decision['action'], rest: Partial<Decision> = {}): Decision {
  const common = { id: newId('evt', at), package_id: ID, action, at: new Date(at).toISOString(), actor: 'ada' };
  const hold = action === 'held' || action === 'released' ? { hold: { id: HOLD, reference: null } } : {};
  return { ...common, reason: action === 'finalized' ? null : 'because', ...hold, ...rest };
}

function until(time: number | null): Pick<Decision, 'expires_at'> {
  return { expires_at: time === null ? null : new Date(time).toISOString() };
}

const FINALIZED = decision(5_000, 'finalized', { ...until(5_000 + DAY_MS), retention_days: 1, created_by: 'bob' });

test('decisions tell a package’s history in their order, each with what was before', (t) => {
  const all = [
    decision(9_000, 'released'),
    decision(8_000, 'extended', until(5_000 + 3 * DAY_MS)),
    FINALIZED,
    decision(7_000, 'held'),
    decision(9_999, 'deleted', until(5_000 + 3 * DAY_MS)),
  ];
  const told = retell(PKG, all, 77);
  t.like(told, {
    retention_days: 1,
    created_by: 'bob',
    sealed_by: 'ada',
    expires_at: 5_000 + 3 * DAY_MS,
    senseless: [],
  });
  t.deepEqual(told.deletion, { at: 9_999, reason: 'because' });
  t.deepEqual(
    told.events.map(({ action, expires_before, expires_after }) => [action, expires_before, expires_after]),
    [
      ['set', null, 1_000 + DAY_MS],
      ['finalized', 1_000 + DAY_MS, 5_000 + DAY_MS],
      ['held', null, null],
      ['extended', 5_000 + DAY_MS, 5_000 + 3 * DAY_MS],
      ['released', null, null],
      ['deleted', 5_000 + 3 * DAY_MS, null],
    ],
  );
  t.like(told.holds[0], {
    id: HOLD,
    placed_by: 'ada',
    placed_at: 7_000,
    released_at: 9_000,
    release_reason: 'because',
  });
  t.deepEqual(retell(PKG, all, 77), told, 'the same each time');
});

test('a hold placed and released in one millisecond is told in that order, whatever its ids say', (t) => {
  for (let n = 0; n < 20; n += 1) {
    const told = retell(PKG, [decision(7_000, 'released'), decision(7_000, 'held'), FINALIZED], 1);
    t.deepEqual(told.senseless, []);
    t.is(told.holds[0]?.released_at, 7_000);
  }
});

test('without the decision that it was finalized, its class tells; without that, it is kept for ever', (t) => {
  t.like(retell(PKG, [], 2), { retention_days: 2, expires_at: 5_000 + 2 * DAY_MS });
  t.like(retell(PKG, [], null), { retention_days: null, expires_at: null });
  t.like(retell(PKG, [], undefined), { retention_days: null, expires_at: null });
  const { events } = retell(PKG, [], 2);
  t.deepEqual(
    events.map(({ action, to_write }) => [action, to_write]),
    [
      ['set', false],
      ['finalized', true],
    ],
    'storage is told of it',
  );
});

test('a release of a hold that nobody knows is named, and changes nothing', (t) => {
  const stray = decision(9_000, 'released');
  const told = retell(PKG, [FINALIZED, stray], 1);
  t.deepEqual(told.senseless, [stray.id]);
  t.is(told.holds.length, 0);
});

test('a decision is read as it was written; what is none is not', (t) => {
  const all = [
    FINALIZED,
    decision(7_000, 'held'),
    decision(8_000, 'extended', until(null)),
    decision(9_000, 'deleted', until(1)),
  ];
  for (const one of all) t.deepEqual(parseDecision(decisionBytes(one)), one);
  const spoilt = (change: object) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(decisionBytes(all[1] as Decision).toString()), ...change }));
  for (const change of [
    { schema: 'artifact-store/decision/v2' },
    { id: 'evt_1' },
    { action: 'kept' },
    { at: 'yesterday' },
    { hold: null },
    { hold: { id: HOLD } },
    { reason: 7 },
    { package_id: null },
  ])
    t.is(parseDecision(spoilt(change)), null, JSON.stringify(change));
  t.is(parseDecision(Buffer.from('{')), null);
  t.is(parseDecision(Buffer.from('null')), null);
});

test('of two versions of one decision the longer one agrees with the shorter, and neither with another', (t) => {
  const { created_by: _, ...older } = FINALIZED;
  t.true(agree(FINALIZED, older));
  t.true(agree(older, FINALIZED));
  t.false(agree(FINALIZED, { ...older, actor: 'eve' }));
});
