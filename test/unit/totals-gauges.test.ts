import test from 'ava';
import { Registry } from 'prom-client';
import { type Totals, totalsGauges } from '../../src/http/totals-gauges.ts';

const TOTALS: Totals = {
  objects: 3,
  size: 30,
  stored_size: 20,
  condemned: 1,
  condemned_size: 5,
  packages: {
    created: { packages: 0, bytes: 0, stored_bytes: 0 },
    uploading: { packages: 0, bytes: 0, stored_bytes: 0 },
    finalized: { packages: 2, bytes: 25, stored_bytes: 25 },
    deleted: { packages: 0, bytes: 0, stored_bytes: 0 },
    failed: { packages: 0, bytes: 0, stored_bytes: 0 },
  },
  uploads: { open: 1, completing: 0, aborting: 0 },
  fixity: { seen: { objects: 3, bytes: 20 }, overdue: { objects: 0, bytes: 0 }, oldest_seen_at: null },
  damaged: 0,
  unlocked: 0,
  swept_at: null,
  webhooks: { webhooks: 0, waiting: 0, dead: 0, lag: 0 },
};

test('a scrape does not wait for a registry that does not answer, and tells no number that nobody counted', async (t) => {
  const register = new Registry();
  const answer = Promise.withResolvers<Totals>();
  let asked = 0;
  const refresh = totalsGauges(
    register,
    () => {
      asked += 1;
      return answer.promise;
    },
    1,
  );
  await refresh();
  await refresh();
  t.is(asked, 1, 'the same count is waited for');
  t.regex(await register.metrics(), /^# TYPE artifact_store_objects gauge$/m);
  t.notRegex(await register.metrics(), /^artifact_store/m);
  answer.resolve(TOTALS);
  await refresh();
  const text = await register.metrics();
  t.regex(text, /^artifact_store_objects 3$/m);
  t.regex(text, /^artifact_store_packages\{status="finalized"\} 2$/m);
  t.regex(text, /^artifact_store_sweep_last_success_timestamp_seconds 0$/m);
  t.notRegex(text, /^artifact_store_fixity_oldest/m, 'of no object');
  await refresh();
  t.is(asked, 1, 'not again within a minute');
});

test('a count that fails leaves the numbers as they were', async (t) => {
  const register = new Registry();
  await totalsGauges(register, async () => {
    throw new Error('the registry is away');
  })();
  t.notRegex(await register.metrics(), /^artifact_store/m);
});
