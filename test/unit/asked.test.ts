import test from 'ava';
import { askedDifferences, finalizedRemedy } from '../../cli/client/push/asked.ts';
import type { Package } from '../../src/api/types.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';

const CLASSES = new Map(Object.entries(DEFAULT_RETENTION_CLASSES));
const DAY = 86_400_000;
const FINALIZED = Date.parse('2026-01-01T00:00:00.000Z');

/** Finalized, of this class, and kept so many days; null: for ever. */
function kept(name: string, days: number | null, finalized = true): Package {
  const expires_at = days === null ? null : new Date(FINALIZED + days * DAY).toISOString();
  return {
    id: 'pkg_1',
    name: 'n',
    producer: 'p',
    subject: null,
    external_id: null,
    metadata: { b: 1, a: [true] },
    finalized_at: finalized ? new Date(FINALIZED).toISOString() : null,
    retention: { class: name, expires_at, held: false, eligible: false },
  } as unknown as Package;
}

const differ = (pkg: Package, retention_class: string): boolean =>
  askedDifferences({ retention_class }, pkg, CLASSES).length > 0;

test('a class is had by its name, or by being kept as long as a longer one says', (t) => {
  t.false(differ(kept('transient', 7), 'transient'));
  t.true(differ(kept('transient', 7), 'raw-evidence'));
  t.true(differ(kept('transient', 89), 'raw-evidence'));
  t.false(differ(kept('transient', 90), 'raw-evidence'), 'it was extended so far');
  t.false(differ(kept('transient', null), 'raw-evidence'));
  t.true(differ(kept('transient', 100_000), 'permanent-record'), 'no extension is for ever');
  t.true(differ(kept('raw-evidence', 90), 'transient'), 'a shorter one is not what it is kept by');
  t.true(differ(kept('permanent-record', null), 'raw-evidence'));
  t.true(differ(kept('transient', 90, false), 'raw-evidence'), 'an open package has the class that it was made with');
  t.false(differ(kept('one of the past', 90), 'raw-evidence'), 'whatever a class was that is no more');
  t.true(differ(kept('one of the past', 89), 'raw-evidence'));
});

test('only what is asked for is compared, metadata by its value', (t) => {
  const pkg = kept('transient', 7);
  t.deepEqual(askedDifferences({}, pkg, CLASSES), []);
  t.deepEqual(askedDifferences({ name: 'n', producer: 'p', metadata: { a: [true], b: 1 } }, pkg, CLASSES), []);
  t.deepEqual(
    askedDifferences({ name: 'm', subject: 's', external_id: 'x', metadata: {} }, pkg, CLASSES).map(
      ({ field }) => field,
    ),
    ['name', 'subject', 'external_id', 'metadata'],
  );
});

test('the remedy is extend where that is enough, and else --revision', (t) => {
  const remedy = (pkg: Package, retention_class: string): string =>
    finalizedRemedy(pkg, askedDifferences({ retention_class }, pkg, CLASSES), CLASSES);
  t.regex(
    remedy(kept('transient', 7), 'raw-evidence'),
    /extend pkg_1 --until 2026-04-01T00:00:00\.000Z --reason TEXT.*--revision/,
  );
  for (const wanted of ['transient', 'permanent-record']) {
    t.notRegex(remedy(kept('raw-evidence', 90), wanted), /extend/);
    t.regex(remedy(kept('raw-evidence', 90), wanted), /--revision/);
  }
});
