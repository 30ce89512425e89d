import test from 'ava';
import { Pace } from '../../src/http/pace.ts';

const RULE = { bytesPerSecond: 1_000, patienceMs: 30_000 };

function paced() {
  let now = 0;
  const pace = new Pace(RULE, () => now);
  return {
    pace,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('only waiting uses up patience', (t) => {
  const { pace, pass } = paced();
  pass(1e9);
  t.is(pace.patienceLeftMs(), 30_000, 'nobody waits yet');
  pace.wait();
  pass(29_000);
  t.is(pace.patienceLeftMs(), 1_000);
  pace.take(0);
  pass(1e9);
  t.is(pace.patienceLeftMs(), 1_000, 'storage is slow');
  t.false(pace.isWaiting);
  pace.wait();
  pass(1_001);
  t.true(pace.isWaiting && pace.patienceLeftMs() < 0);
});

test('bytes give patience back, never more than there was', (t) => {
  const { pace, pass } = paced();
  pace.wait();
  pass(20_000);
  pace.take(5_000);
  t.is(pace.patienceLeftMs(), 15_000);
  pace.wait();
  pace.take(1e9);
  t.is(pace.patienceLeftMs(), 30_000);
});

test('a sender above the rate is waited for without limit, a sender below it is not', (t) => {
  const at = paced();
  for (let n = 0; n < 1_000; n += 1) {
    at.pace.wait();
    at.pass(10_000);
    at.pace.take(10_000);
  }
  t.is(at.pace.patienceLeftMs(), 30_000);
  const below = paced();
  let waited = 0;
  while (below.pace.patienceLeftMs() > 0) {
    below.pace.wait();
    below.pass(1_000);
    waited += 1_000;
    below.pace.take(1);
  }
  t.is(waited, 31_000);
});
