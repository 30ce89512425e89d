import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../support/api.ts';
import { type Ceph, OWN_CEPH } from '../support/ceph.ts';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import type { Exchange } from '../support/exchanges.ts';
import type { Point } from '../support/fault-proxy.ts';
import {
  asks,
  assertNotFinalized,
  assertWhole,
  endsWell,
  errorOf,
  type Faulted,
  nth,
  onFaulted,
  type Tree,
} from '../support/faulted-service.ts';
import { sampled } from '../support/long.ts';
import { POSTGRES } from '../support/postgres.ts';
import { startRelay } from '../support/relay.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { startTestService } from '../support/service.ts';
import { readTree } from '../support/tree.ts';

/** The gateway is killed and started again while a push is under way, on a real Ceph and a real PostgreSQL. */
const started = await required('Faults of the gateway', OWN_CEPH);
const ceph = started as Ceph;
const postgres = started && (await required('Faults of the gateway', POSTGRES));

const MIB = 1024 ** 2;
const CLAIMS = /^update "uploads" set .*"lease_until"/;

type Asked = keyof typeof asks;
/** The n-th time of this request, and where in it. */
type Moment = readonly [of: Asked, n: number, point: Point];

function onCeph(title: string, body: (t: ExecutionContext, place: Faulted) => Promise<void>): void {
  if (postgres) test.serial(title, async (t) => onFaulted(t, { ceph, postgres, bucket }, body));
}

let bucket = '';
if (postgres) {
  test.before('a bucket', async () => {
    bucket = await createBucket(ceph);
  });
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
}

/** Killed at each of these moments, in a push of its own, and started again at once. */
function killedAt(title: string, moments: readonly Moment[]): void {
  onCeph(title, async (t, place) => {
    for (const [of, n, point] of sampled(moments, 8)) {
      const what = `killed at ${of} ${n}, ${typeof point === 'string' ? point : JSON.stringify(point)}`;
      await endsWell(t, place, what, () => restartAt(place, asks[of], n, point));
    }
  });
}

/** @returns how many requests of the kind the gateway had in hand when it was killed */
async function restartAt(
  { gateway }: Faulted,
  of: (exchange: Exchange) => boolean,
  n: number,
  point: Point,
): Promise<string> {
  let inHand = 0;
  const act = async (): Promise<void> => {
    const killed = ceph.killGateway();
    inHand = gateway.seen.filter((each) => of(each) && each.sent && !each.answered).length;
    await killed;
    await ceph.startGateway();
  };
  await gateway.once({ point, of: nth(n, of), act });
  return `${inHand} more in hand`;
}

killedAt('the gateway is killed in the middle of an upload: the push ends well', [
  ['open', 2, 'answering'],
  ['part', 1, 'asked'],
  ['part', 4, { sent: MIB }],
  ['part', 5, 'sent'],
  ['part', 2, 'answering'],
]);

killedAt('the gateway is killed in the middle of a Complete: the push ends well', [
  ['complete', 1, 'asked'],
  ['complete', 1, 'sent'],
  ['complete', 4, 'sent'],
  ['complete', 1, 'answering'],
  ['complete', 3, 'answering'],
  ['complete', 8, 'answering'],
  ['parts', 3, 'answering'],
]);

killedAt('the gateway is killed while an object is read back: the push ends well', [
  ['read', 1, 'asked'],
  ['read', 1, 'answering'],
  ['read', 2, { told: 100_000 }],
]);

killedAt('the gateway is killed in the middle of a finalize: the push ends well', [
  ['manifestStat', 1, 'asked'],
  ['manifest', 1, 'asked'],
  ['manifest', 1, { sent: 10_000 }],
  ['manifest', 1, 'sent'],
  ['manifest', 1, 'answering'],
]);

onCeph(
  'a gateway that stays away: a clear error for each phase, and the same command ends well later',
  async (t, place) => {
    const { gateway, push, newTree } = place;
    const phases = ['manifest', 'complete', 'part'] as const;
    const trees = await Promise.all(phases.map(newTree));
    let goOn = (): void => {};
    const killed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const pushes: Array<ReturnType<typeof push>> = [];
    // Each push waits in its phase until all three are there.
    for (const [n, phase] of phases.entries()) {
      const there = new Promise<void>((resolve) => {
        gateway.once({
          point: 'asked',
          of: asks[phase],
          async act() {
            resolve();
            await killed;
          },
        });
      });
      pushes.push(push(trees[n] as Tree));
      await there;
    }
    await ceph.killGateway();
    goOn();
    const failed = await Promise.all(pushes);
    for (const [n, phase] of phases.entries()) {
      const { code, message, next } = errorOf(failed[n] as CliEnding);
      t.log(`away in ${phase}: ${code}, exit ${failed[n]?.code}: ${message} → ${next}`);
      t.true(code === 'unreachable' || code === 'unavailable', code);
      t.regex(message, /storage/);
      await assertNotFinalized(t, place, trees[n] as Tree);
    }
    const readiness = await place.api.get('/readyz');
    t.is(readiness.status, 503);
    t.false(readiness.body.blob_store.ok);
    await ceph.startGateway();
    for (const tree of trees) {
      const pushed = await push(tree);
      t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
      place.pushed.push({ tree, packageId: pushed.json.package_id });
    }
  },
);

onCeph('a pull waits for a gateway that is down for a while', async (t, { bucket, newTree, prefix }) => {
  const { folder } = await newTree();
  // The signed URLs name it: it sees also what no gateway answers.
  const relay = await startRelay(ceph.endpoint);
  const service = await startTestService({
    env: {
      ...s3Env(ceph, bucket),
      ARTIFACT_STORE_S3_PREFIX: `${prefix}-pulled`,
      ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: relay.url,
    },
  });
  t.teardown(async () => {
    await service.dispose();
    await relay.close();
  });
  const cli = (...args: string[]) => runCli([...args, '--json', '--url', service.url]);
  const pushed = await cli('push', folder, '--producer', 'faults');
  t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
  let asked = 0;
  let killed: Promise<void> | undefined;
  let begun: Promise<void> | undefined;
  relay.before = async ({ method, url }) => {
    if (method !== 'GET' || !url.includes('/objects/')) return 'pass';
    asked += 1;
    const mine = asked;
    if (mine === 2) killed = ceph.killGateway();
    await killed;
    if (mine === 8) begun = ceph.startGateway();
    await begun;
    return 'pass';
  };
  const pulled = await cli('pull', pushed.json.package_id, `${folder}-copy`);
  t.is(pulled.code, 0, pulled.stdout + pulled.stderr);
  t.true(asked > 8, `${asked} reads`);
  t.deepEqual(await readTree(`${folder}-copy`), await readTree(folder));
});

onCeph('Complete racing abort: one of them is never sent to the gateway, and nothing is lost', async (t, place) => {
  const { api, gateway, database } = place;
  const tree = await place.newTree();
  const bytes = await readFile(join(tree.folder, 'medium.bin'));
  const ends: Record<string, number> = {};
  const raced = async (n: number, race: (url: string) => Promise<Array<{ status: number }>>): Promise<void> => {
    const own = Buffer.concat([bytes, Buffer.from(String(n))]);
    const object = { digest: sha256(own), size: own.length };
    const id = await api.create({ producer: 'faults' });
    await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
    const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
    t.is((await api.send(upload.parts[0], own)).status, 200);
    gateway.seen.length = 0;
    const answers = await race(`/v1/uploads/${upload.upload_id}`);
    const { state } = (await api.get(`/v1/uploads/${upload.upload_id}`)).body;
    const sent = (of: (exchange: Exchange) => boolean) => gateway.seen.filter(of).length;
    t.is(sent(asks.complete), state === 'committed' ? 1 : 0, `${n}: ${state}`);
    t.is(sent(asks.abort), state === 'committed' ? 0 : 1, `${n}: ${state}`);
    t.is(answers.filter(({ status }) => status === 200).length >= 1, true);
    ends[state] = (ends[state] ?? 0) + 1;
    if (state === 'committed') t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
  };
  const commit = (url: string) => api.post(`${url}/commit`);
  const abort = (url: string) => api.call('DELETE', url);
  for (let n = 0; n < 20; n += 1) {
    await raced(n, (url) => Promise.all(n % 2 === 0 ? [commit(url), abort(url)] : [abort(url), commit(url)]));
    // Both look at the upload at the same time: the commit asks for its parts before.
    await raced(50 + n, async (url) => {
      let other: ReturnType<typeof abort> | undefined;
      const act = () => {
        other = abort(url);
      };
      const made =
        n % 2 === 0
          ? gateway.once({ point: 'answering', of: asks.parts, act })
          : database.once({ point: 'asked', of: ({ what }) => CLAIMS.test(what), act });
      const answers = [await commit(url)];
      await made;
      return [...answers, (await other) as (typeof answers)[number]];
    });
  }
  // The other one comes while the first one's request is at the gateway.
  for (const [n, point] of (['asked', 'sent', 'answering'] as const).entries()) {
    await raced(100 + n, async (url) => {
      let late: Awaited<ReturnType<typeof api.get>> | undefined;
      const act = async () => {
        late = await abort(url);
      };
      const made = gateway.once({ point, of: asks.complete, act });
      const first = await commit(url);
      await made;
      t.like(late?.body, { code: 'upload_closed' });
      return [first];
    });
    await raced(200 + n, async (url) => {
      let late: Awaited<ReturnType<typeof api.get>> | undefined;
      const act = async () => {
        late = await commit(url);
      };
      const made = gateway.once({ point, of: asks.abort, act });
      const first = await abort(url);
      await made;
      t.like(late?.body, { code: 'upload_abandoned' });
      return [first];
    });
  }
  const pushed = await place.push(tree);
  const objects = await assertWhole(t, place, { tree, packageId: pushed.json.package_id });
  t.log(`46 races ended ${JSON.stringify(ends)}; ${objects} objects read back`);
});
