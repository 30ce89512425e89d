import { apiOf } from '../support/api.ts';
import { startPostgres } from '../support/postgres.ts';
import { startReceiver } from '../support/receiver.ts';
import { startTestService } from '../support/service.ts';

/*
 * What webhooks cost: packages of two files per second, in turns without any look for webhooks, with the looks and no webhook, with one
 * that is sent every event, and with one whose receiver does not answer. The service, its four clients and the receiver share this process.
 *
 *     node test/bench/webhooks.ts [SECONDS [ROUNDS]]
 */

const [seconds = 3, rounds = 3] = process.argv.slice(2).map(Number);
const KINDS = ['no looks', 'no webhook', 'one webhook', 'a mute one'] as const;
type Kind = (typeof KINDS)[number];

/** On a busy machine the processor's time says more than the clock's. */
interface Measured {
  perSecond: number;
  /** Of all that share the process, for each push. */
  cpuMs: number;
}

const LOOK_MS = 2_000;
const CLIENTS = 4;

async function measure(kind: Kind, databaseUrl: string | null): Promise<Measured> {
  const receiver = await startReceiver(() => (kind === 'a mute one' ? undefined : 204));
  const env: Record<string, string> = databaseUrl === null ? {} : { ARTIFACT_STORE_DATABASE_URL: databaseUrl };
  const service = await startTestService({
    env: { ...env, ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' },
    webhooks: { look: kind === 'no looks' ? null : LOOK_MS },
  });
  const api = apiOf(service.url);
  if (kind === 'one webhook' || kind === 'a mute one') await api.post('/v1/webhooks', { url: receiver.url });
  const started = performance.now();
  const before = process.cpuUsage();
  let done = 0;
  async function repeat(client: number): Promise<void> {
    for (let round = 0; performance.now() - started < seconds * 1_000; round += 1) {
      await api.preserve({ a: `a ${client} ${round}`, b: `b ${client} ${round}` });
      done += 1;
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => repeat(client)));
  const perSecond = done / ((performance.now() - started) / 1_000);
  const { user, system } = process.cpuUsage(before);
  await service.dispose();
  await receiver.close();
  return { perSecond, cpuMs: (user + system) / 1_000 / done };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

const postgres = await startPostgres();
for (const registry of ['SQLite', 'PostgreSQL']) {
  const seen = new Map<Kind, Measured[]>(KINDS.map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
      const url = registry === 'SQLite' ? null : await postgres.createMigrated();
      seen.get(kind)?.push(await measure(kind, url));
    }
  }
  for (const [kind, values] of seen) {
    const rates = values.map(({ perSecond }) => perSecond);
    const cpu = median(values.map(({ cpuMs }) => cpuMs));
    const all = rates.map((rate) => rate.toFixed(1)).join(', ');
    console.log(
      `${registry}, ${kind}: ${median(rates).toFixed(1)} pushes per second (${all}), ${cpu.toFixed(1)} ms of CPU for each`,
    );
  }
}
await postgres.close();
