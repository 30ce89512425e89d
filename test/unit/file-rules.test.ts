import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/core/errors.ts';
import {
  assertFilesRemovable,
  daysByRule,
  fileExpiry,
  fileRulesProblem,
  joinFileRules,
} from '../../src/core/file-rules.ts';
import { DAY_MS } from '../../src/core/retention.ts';

const days = fc.integer({ min: 0, max: 500 });
const rule = fc.record({ path: fc.constantFrom('raw/**', '**', 'raw/a', 'b', '*.log'), days });
const rules = fc.array(rule, { maxLength: 6 });
const path = fc.constantFrom('raw/a', 'raw/b', 'b', 'c.log', 'raw/c.log', 'none');
const FINALIZED = Date.parse('2026-01-01T00:00:00Z');
const kept = fc
  .record({ package: fc.option(days), extension: fc.option(days), rules })
  .map(({ package: own, extension, rules: file_rules }) => {
    const byClass = own === null ? null : FINALIZED + own * DAY_MS;
    // An extension is later than what stood, and nothing is later than never.
    const extended = byClass === null || extension === null ? null : byClass + (extension + 1) * DAY_MS;
    const expires_at = extended ?? byClass;
    return { id: 'pkg', finalized_at: FINALIZED, expires_at, extended_until: extended, file_rules };
  });
const HOLD = { id: 'hold', reason: 'disputed' };

type Kept = typeof kept extends fc.Arbitrary<infer Value> ? Value : never;

/** What may be removed: null. */
function refusal(pkg: Kept, paths: string[], now: number, holds: Array<typeof HOLD> = []): string | null {
  try {
    assertFilesRemovable(pkg, holds, paths, now);
    return null;
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return error.code;
  }
}

test('a file may go exactly when its time is over, and stays removable from then on', (t) => {
  fc.assert(
    fc.property(kept, path, days, days, (pkg, file, day, later) => {
      const now = FINALIZED + day * DAY_MS;
      const own = daysByRule(pkg.file_rules)(file);
      const due = own === null ? Number.POSITIVE_INFINITY : fileExpiry(pkg, own);
      t.is(refusal(pkg, [file], now), due <= now ? null : 'retention_active');
      if (due <= now) t.is(refusal(pkg, [file], now + later * DAY_MS), null);
    }),
  );
  t.pass();
});

test('whatever the rules say: a hold keeps all, an extension keeps all to its end, no file is kept beyond its package', (t) => {
  fc.assert(
    fc.property(kept, fc.array(path, { minLength: 1, maxLength: 4 }), days, (pkg, files, day) => {
      const now = FINALIZED + day * DAY_MS;
      t.is(refusal(pkg, files, now, [HOLD]), 'held');
      if (pkg.extended_until !== null && now < pkg.extended_until) t.is(refusal(pkg, files, now), 'retention_active');
      for (const { days: own } of pkg.file_rules) {
        if (pkg.expires_at !== null) t.true(fileExpiry(pkg, own) <= pkg.expires_at);
      }
    }),
  );
  t.pass();
});

test('of several rules the one with the most days decides, in whatever order, and one more never shortens', (t) => {
  fc.assert(
    fc.property(rules, rule, path, (some, more, file) => {
      const own = daysByRule(some)(file);
      t.is(daysByRule(some.toReversed())(file), own);
      const then = daysByRule([...some, more])(file);
      if (own !== null) t.true((then as number) >= own);
    }),
  );
  t.is(
    daysByRule([
      { path: 'raw/**', days: 30 },
      { path: '**/*.log', days: 60 },
    ])('raw/a.log'),
    60,
  );
  t.is(daysByRule([{ path: 'raw/**', days: 30 }])('report.md'), null);
});

test('several files may go together exactly when each may, and those that may not are named', (t) => {
  fc.assert(
    fc.property(kept, fc.uniqueArray(path, { minLength: 1 }), days, (pkg, files, day) => {
      const now = FINALIZED + day * DAY_MS;
      const staying = files.filter((file) => refusal(pkg, [file], now) !== null);
      t.is(refusal(pkg, files, now) === null, staying.length === 0);
      if (staying.length === 0) return;
      try {
        assertFilesRemovable(pkg, [], files, now);
      } catch (error) {
        if (isStoreError(error)) t.deepEqual(error.extras.paths as string[], staying);
      }
    }),
  );
  t.pass();
});

test('rules of a class and of a request are joined, each once; more than fifty are too many', (t) => {
  const raw = { path: 'raw/**', days: 30 };
  t.deepEqual(joinFileRules([raw], [{ ...raw, days: 20 }, raw]), [raw, { ...raw, days: 20 }]);
  const many = (count: number, start = 0) =>
    Array.from({ length: count }, (_, n) => ({ path: `${start + n}`, days: 1 }));
  t.is(joinFileRules(many(25), many(25, 25)).length, 50);
  t.throws(() => joinFileRules(many(25), many(26, 25)), { message: /more than 50 file rules/ });
  t.regex(fileRulesProblem([{ path: 'a', days: 36_501 }]) ?? '', /write 0 to 36500/);
});
