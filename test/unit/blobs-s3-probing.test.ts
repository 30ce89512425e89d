import test from 'ava';
import { type ProbeReport, probeReport } from '../../src/blobs/s3/probe-report.ts';
import { startProbing } from '../../src/blobs/s3/probing.ts';

const NEVER = 1e9;
const INTERVALS = { regular: NEVER, afterProblem: NEVER, onDemand: NEVER };

function reportOf(probedAt: number, problem: string | null = null): ProbeReport {
  return probeReport(
    {
      problem,
      trials: {},
      hasUploadKey: false,
      clockSkewMs: null,
      lock: { wanted: 'off', enabled: false, byDefault: null },
    },
    { probedAt, endpoint: 'http://s3' },
  );
}

test('simultaneous requests share one probe, and a request soon after gets its report', async (t) => {
  let probes = 0;
  const probing = startProbing(
    async () => reportOf(++probes),
    () => {},
    INTERVALS,
  );
  t.teardown(() => probing.close());
  t.is(probing.report(), null, 'nothing is believed before the first has ended');
  await probing.first;
  t.is(probing.report()?.probedAt, 1);
  await Promise.all([probing.again(), probing.again(), probing.again()]);
  t.is(probing.report()?.probedAt, 2, 'however short ago the regular one was');
  await probing.again();
  t.is(probes, 2);
});

test('the next probe comes after its interval, after a problem after another one', async (t) => {
  for (const problem of [null, 'it cannot be reached']) {
    let probes = 0;
    const { promise: third, resolve } = Promise.withResolvers<void>();
    const probing = startProbing(
      async () => {
        probes += 1;
        if (probes === 3) resolve();
        return reportOf(probes, problem);
      },
      () => {},
      { ...INTERVALS, [problem === null ? 'regular' : 'afterProblem']: 1 },
    );
    await third;
    await probing.close();
    t.true(probes >= 3);
  }
});

test('closing waits for the probe that is under way, tells it to end, and starts no other', async (t) => {
  const told: ProbeReport[] = [];
  let probes = 0;
  let ended = false;
  const { promise: underWay, resolve: begun } = Promise.withResolvers<AbortSignal>();
  const { promise: cleanedUp, resolve: cleanUp } = Promise.withResolvers<void>();
  const probing = startProbing(
    async (signal) => {
      probes += 1;
      if (probes > 1) {
        begun(signal);
        await cleanedUp;
        ended = true;
      }
      return reportOf(probes);
    },
    (report) => told.push(report),
    { ...INTERVALS, regular: 1 },
  );
  const signal = await underWay;
  const closing = probing.close().then(() => t.true(ended, 'closed only when the probe had ended'));
  t.true(signal.aborted);
  cleanUp();
  await closing;
  await probing.again();
  t.is(probes, 2);
  t.is(told.length, 1, 'what broke off says nothing');
});
