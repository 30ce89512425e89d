import { apiOf } from '../support/api.ts';
import { startPostgres } from '../support/postgres.ts';
import { startTestService } from '../support/service.ts';

/*
 * What the audit's log costs: packages of two files and holds per second, with the log extended every 5 s and without it, in
 * turns. The service and its four clients share this process.
 *
 *     node test/bench/audit-log.ts [SECONDS [ROUNDS]]
 */

const [seconds = 10, rounds = 6] = process.argv.slice(2).map(Number);
const LOG_INTERVALS = { with: 5_000, without: null };
type Kind = keyof typeof LOG_INTERVALS;
const CLIENTS = 4;

async function perSecond(work: (client: number, round: number) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  let done = 0;
  async function repeat(client: number): Promise<void> {
    while (performance.now() - started < seconds * 1_000) {
      await work(client, done);
      done += 1;
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => repeat(client)));
  return done / ((performance.now() - started) / 1_000);
}

async function measure(
  logInterval: number | null,
  databaseUrl: string | null,
): Promise<{ push: number; hold: number }> {
  const env: Record<string, string> = databaseUrl === null ? {} : { ARTIFACT_STORE_DATABASE_URL: databaseUrl };
  const service = await startTestService({ logInterval, env });
  const api = apiOf(service.url);
  const push = await perSecond((client, round) =>
    api.preserve({ a: `a ${client} ${round}`, b: `b ${client} ${round}` }),
  );
  const id = await api.preserve({ h: 'held' });
  const hold = await perSecond(() => api.post(`/v1/packages/${id}/holds`, { reason: 'measured' }));
  await service.dispose();
  return { push, hold };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

const postgres = await startPostgres();
for (const registry of ['SQLite', 'PostgreSQL']) {
  const seen = { with: { push: [], hold: [] }, without: { push: [], hold: [] } } as Record<
    Kind,
    { push: number[]; hold: number[] }
  >;
  for (let round = 0; round < rounds; round += 1) {
    const order: Kind[] = round % 2 === 0 ? ['with', 'without'] : ['without', 'with'];
    for (const kind of order) {
      const url = registry === 'SQLite' ? null : await postgres.createMigrated();
      const { push, hold } = await measure(LOG_INTERVALS[kind], url);
      seen[kind].push.push(push);
      seen[kind].hold.push(hold);
      process.stderr.write(`${registry} ${kind} ${push.toFixed(1)} ${hold.toFixed(1)}\n`);
    }
  }
  for (const what of ['push', 'hold'] as const) {
    const [on, off] = [median(seen.with[what]), median(seen.without[what])];
    process.stdout.write(
      `${registry} ${what}/s: ${on.toFixed(1)} with, ${off.toFixed(1)} without, ${(on / off).toFixed(2)}\n`,
    );
  }
}
await postgres.close();
