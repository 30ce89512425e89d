import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/core/errors.ts';
import {
  assertDeletable,
  DAY_MS,
  DEFAULT_RETENTION_CLASSES,
  daysAfter,
  eligibility,
  expiryAtFinalize,
  extendExpiry,
  laterExpiry,
} from '../../src/core/retention.ts';

const time = fc.integer({ min: 0, max: Date.parse('2200-01-01') });
const days = fc.option(fc.integer({ min: 0, max: 36_500 }));
const expiry = fc.option(time);

test('the classes are those of the contract', (t) => {
  t.deepEqual(DEFAULT_RETENTION_CLASSES, {
    transient: 7,
    'raw-evidence': 90,
    'summary-evidence': 365,
    'release-evidence': 1825,
    'permanent-record': null,
  });
});

test('finalize never shortens, and never makes "never" an end', (t) => {
  fc.assert(
    fc.property(expiry, time, days, (current, finalizedAt, classDays) => {
      const next = expiryAtFinalize(current, finalizedAt, classDays);
      t.is(laterExpiry(current, next), next);
      if (current === null || classDays === null) t.is(next, null);
      else t.is(next, Math.max(current, finalizedAt + classDays * DAY_MS));
    }),
  );
});

test('an extension is strictly later than the expiry and than now, or is refused', (t) => {
  const extension = fc.oneof(
    time.map((expires_at) => ({ expires_at })),
    fc.integer({ min: 1, max: 36_500 }).map((n) => ({ days: n })),
  );
  fc.assert(
    fc.property(time, extension, time, (current, wanted, now) => {
      const target = 'days' in wanted ? current + wanted.days * DAY_MS : wanted.expires_at;
      if (target > current && target > now) t.is(extendExpiry(current, wanted, now), target);
      else
        t.true(
          isStoreError(
            t.throws(() => extendExpiry(current, wanted, now)),
            'not_later',
          ),
        );
    }),
  );
});

test('days count from the current expiry', (t) => {
  t.is(extendExpiry(100 * DAY_MS, { days: 5 }, 50 * DAY_MS), 105 * DAY_MS);
});

test('never cannot be extended', (t) => {
  t.true(
    isStoreError(
      t.throws(() => extendExpiry(null, { days: 1 }, 0)),
      'never_expires',
    ),
  );
});

test('eligible means expired, not held, not deleted', (t) => {
  const facts = fc.record({
    status: fc.constantFrom('created', 'uploading', 'finalized', 'failed', 'deleted'),
    expires_at: expiry,
    active_holds: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(facts, time, (pkg, now) => {
      const { eligible, reason } = eligibility(pkg as never, now);
      const expired = pkg.expires_at !== null && pkg.expires_at <= now;
      t.is(eligible, expired && pkg.active_holds === 0 && pkg.status !== 'deleted');
      t.is(eligible, reason === 'expired');
    }),
  );
});

test('a hold blocks the deletion of any package, an expiry only of finalized ones', (t) => {
  const hold = { id: 'hold_1', reason: 'audit' };
  for (const status of ['created', 'uploading', 'failed', 'finalized'] as const) {
    const facts = { status, expires_at: 10, active_holds: 1 };
    t.true(
      isStoreError(
        t.throws(() => assertDeletable(facts, [hold], 20)),
        'held',
      ),
    );
  }
  t.notThrows(() => assertDeletable({ status: 'uploading', expires_at: 10, active_holds: 0 }, [], 5));
  t.true(
    isStoreError(
      t.throws(() => assertDeletable({ status: 'finalized', expires_at: 10, active_holds: 0 }, [], 5)),
      'retention_active',
    ),
  );
  t.true(
    isStoreError(
      t.throws(() => assertDeletable({ status: 'finalized', expires_at: null, active_holds: 0 }, [], 5)),
      'retention_active',
    ),
  );
  t.notThrows(() => assertDeletable({ status: 'finalized', expires_at: 10, active_holds: 0 }, [], 10));
});

test('no number of days leaves the years that RFC 3339 can write', (t) => {
  t.is(new Date(daysAfter(Date.now(), 10 ** 9) as number).getUTCFullYear(), 9999);
});
