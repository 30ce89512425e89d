import test from 'ava';
import { prepare } from '../../support/generated/prepare.ts';
import { untruths } from '../../support/generated/service-truth.ts';
import { sendGenerated, type Traffic } from '../../support/generated/traffic.ts';
import type { StartTestService } from '../../support/service.ts';

/** ARTIFACT_STORE_TEST_SEED sends the requests of another run again. */
const own = process.env.ARTIFACT_STORE_TEST_SEED;
/** ARTIFACT_STORE_TEST_REQUESTS sends more or fewer. */
const asked = process.env.ARTIFACT_STORE_TEST_REQUESTS;
/** To one service: what it collects makes lists, sweeps and readings longer. */
const ROUND = 50_000;
/** So many that nearly every operation succeeds, and is refused, now and then. */
const MANY = 5_000;
/** Operations of which so many requests may miss a success or a refusal: what needs nothing is refused once in fifty times. */
const LEFT_OUT_BY_CHANCE = 6;
/** Needs an authority for time stamps, which these services do not have. */
const NEVER_SUCCEEDS = ['getLogTimestamp'];
/** Closes a service that nobody needs a token for: the rest would be refused. */
const CLOSES = ['createToken'];
/** Needs one that was made. */
const NEEDS_TOKENS = ['revokeToken'];
const TOKEN = 'a-token-of-sixteen-or-more';

/**
 * What /openapi.json allows, and what it does not, is asked of a service: with a token, when the seed is odd, and without one.
 * @param usual how many requests
 */
export function generatedRequestsSuite(startTestService: StartTestService, usual: number): void {
  const requests = asked === undefined ? usual : Number(asked);
  const first = own === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(own);
  for (let round = 0; round * ROUND < requests; round += 1) {
    const few = Math.min(ROUND, requests - round * ROUND);
    const seed = first + round;

    test.serial(
      `${few} generated requests: the service never fails, answers as documented, and leaves nothing half done (seed ${seed})`,
      async (t) => {
        t.timeout(120_000 + 60 * few);
        const token = seed % 2 === 1 ? TOKEN : null;
        const admin: Record<string, string> = token === null ? {} : { ARTIFACT_STORE_ADMIN_TOKEN: token };
        const env = { ...admin, ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' };
        const service = await startTestService({ env, bounds: { lingerMs: 200 } });
        t.teardown(() => service.dispose());
        const all = await prepare(service, token);
        const operations = all.document.operations.filter(({ id }) => token !== null || !CLOSES.includes(id));
        const never = [...NEVER_SUCCEEDS, ...(token === null ? NEEDS_TOKENS : [])];
        const prepared = { ...all, document: { ...all.document, operations } };
        const { faults, answers, sent } = await sendGenerated(prepared, { requests: few, seed });
        t.log(`${sent} requests, seed ${seed}\n${tableOf(answers)}`);
        const told = faults.map(({ what, times, first }) => `${what} (${times} times)\n${first}\n`);
        t.is(told.join('\n'), '', `${faults.length} kinds of faults, seed ${seed}`);
        t.deepEqual(await untruths(service, token), []);
        if (few < MANY) return;
        // Otherwise nothing was asked of them.
        const statusesOf = (id: string) => [...(answers.get(id)?.keys() ?? [])].map((how) => Number(how.slice(0, 3)));
        const ids = prepared.document.operations.map(({ id }) => id);
        const failed = ids.filter((id) => !never.includes(id) && !statusesOf(id).some((status) => status < 400));
        const taken = ids.filter((id) => !statusesOf(id).some((status) => status >= 400));
        const byChance = few < ROUND ? LEFT_OUT_BY_CHANCE : 0;
        t.true(failed.length <= byChance, `never succeeded: ${failed.join(', ')}`);
        t.true(taken.length <= byChance, `were never refused: ${taken.join(', ')}`);
      },
    );
  }
}

function tableOf(answers: Traffic['answers']): string {
  const rows = [...answers].map(([id, counted]) => {
    const list = [...counted].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([how, times]) => `${times} × ${how}`);
    return `${id}: ${list.join(', ')}`;
  });
  return rows.toSorted().join('\n');
}
