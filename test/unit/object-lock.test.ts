import test from 'ava';
import { lockFindings } from '../../src/blobs/s3/lock-findings.ts';
import { isLocked, isWeaker, wantedLock } from '../../src/core/object-lock.ts';

const NOW = 1_000_000;
const pkg = (change: object) => ({ status: 'finalized', expires_at: NOW + 1, active_holds: 0, ...change });

test('what a package wants of its objects follows from its expiry and its holds, once it is finalized', (t) => {
  t.deepEqual(wantedLock(pkg({}), NOW), { until: NOW + 1, held: false });
  t.deepEqual(wantedLock(pkg({ active_holds: 2 }), NOW), { until: NOW + 1, held: true });
  t.deepEqual(wantedLock(pkg({ expires_at: null }), NOW), { until: null, held: true }, 'it never ends');
  t.deepEqual(
    wantedLock(pkg({ expires_at: NOW }), NOW),
    { until: null, held: false },
    'nothing is locked for the past',
  );
  t.deepEqual(wantedLock(pkg({ expires_at: NOW, active_holds: 1 }), NOW), { until: null, held: true });
  for (const status of ['created', 'uploading', 'failed', 'deleted']) {
    t.deepEqual(wantedLock(pkg({ status, active_holds: 1 }), NOW), { until: null, held: false }, status);
  }
});

test('a lock is in force until its time, or while it is held', (t) => {
  t.true(isLocked({ until: NOW + 1, held: false }, NOW));
  t.false(isLocked({ until: NOW, held: false }, NOW));
  t.true(isLocked({ until: null, held: true }, NOW));
});

test('what storage locks less than it was told is told from what it locks as long, or longer', (t) => {
  const told = { until: NOW + 10_000, held: true };
  const seen = { until: NOW + 10_000, mode: 'governance', held: true } as const;
  t.false(isWeaker(seen, told, NOW));
  t.false(isWeaker({ ...seen, until: NOW + 20_000 }, told, NOW));
  t.false(isWeaker({ ...seen, until: NOW + 9_001 }, told, NOW), 'storage may have whole seconds');
  t.true(isWeaker({ ...seen, until: NOW + 8_999 }, told, NOW));
  t.true(isWeaker({ ...seen, until: null }, told, NOW));
  t.true(isWeaker({ ...seen, held: false }, told, NOW));
  t.true(isWeaker(null, told, NOW));
  t.false(isWeaker({ ...seen, until: null }, { until: NOW, held: true }, NOW), 'its time is over');
});

test('what a bucket can do is told, whatever is asked of it', (t) => {
  const told = (wanted: 'off' | 'governance', enabled: boolean | null, byDefault: string | null = null) =>
    lockFindings({ wanted, enabled, byDefault }).map(({ guarantee, held, weight }) => [guarantee, held, weight]);
  t.deepEqual(told('governance', true), [
    ['object_lock', true, 'note'],
    ['no_default_retention', true, 'warning'],
  ]);
  t.deepEqual(told('governance', true, 'governance, 1 days')[1], ['no_default_retention', false, 'warning']);
  t.deepEqual(told('governance', false), [['object_lock', false, 'failure']]);
  t.deepEqual(told('governance', null), [['object_lock', false, 'warning']]);
  t.deepEqual(told('off', false), [['object_lock', false, 'note']]);
  t.is(told('off', true).length, 2);
  for (const wanted of ['off', 'governance'] as const) {
    for (const enabled of [true, false, null]) {
      for (const { says } of lockFindings({ wanted, enabled, byDefault: null })) t.regex(says, /\.$/);
    }
  }
});
