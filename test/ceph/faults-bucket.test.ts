import test, { type ExecutionContext } from 'ava';
import { type Ceph, OWN_CEPH } from '../support/ceph.ts';
import type { Exchange } from '../support/exchanges.ts';
import type { Link, Point } from '../support/fault-proxy.ts';
import {
  asks,
  assertNotFinalized,
  assertWhole,
  endsWell,
  errorOf,
  type Faulted,
  mendWhileWaited,
  nth,
  onFaulted,
  startFaulted,
} from '../support/faulted-service.ts';
import { sampled } from '../support/long.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { createBucket, freshBucketName } from '../support/s3-harness.ts';

/** A bucket that is away, keys that are revoked, connections that are reset or slow, while a push is under way. */
const started = await required('Faults of bucket, keys and connections', OWN_CEPH);
const ceph = started as Ceph;
const postgres = started && (await required('Faults of bucket, keys and connections', POSTGRES));

function onCeph(title: string, body: (t: ExecutionContext, place: Faulted) => Promise<void>): void {
  if (!postgres) return;
  test.serial(title, async (t) => onFaulted(t, { ceph, postgres, bucket: await createBucket(ceph) }, body));
}

if (postgres) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
}

interface Trouble {
  /** When it begins. */
  of: (exchange: Exchange) => boolean;
  begin(place: Faulted): Promise<unknown>;
  mend(place: Faulted): Promise<unknown>;
  says: RegExp;
  ready: RegExp | null;
}

const user = (...args: string[]) => ceph.admin(...args, '--uid=store');
const CONTROL = ['--access-key=testkey', '--secret=testsecret'];
const UPLOAD = ['--subuser=store:upload', '--key-type=s3', '--access-key=uploadkey'];
/** The objects stay: only the name leads to them no more. */
const rename = (from: string, to: string) => user('bucket', 'link', `--bucket=${from}`, `--bucket-new-name=${to}`);
const MISSING = /bucket "[^"]+" does not exist: create it, or correct ARTIFACT_STORE_S3_BUCKET/;
const away = {
  begin: ({ bucket }: Faulted) => rename(bucket, `${bucket}-away`),
  mend: ({ bucket }: Faulted) => rename(`${bucket}-away`, bucket),
  ready: /NoSuchBucket/,
};
const revoked = {
  begin: () => user('key', 'rm', '--access-key=testkey', '--key-type=s3'),
  mend: () => user('key', 'create', '--key-type=s3', ...CONTROL),
  says: /ARTIFACT_STORE_S3_ACCESS_KEY_ID/,
  ready: /HTTP 403/,
};
const TROUBLES: Record<string, Trouble> = {
  // Which of its parts and commits a push is told of first is a matter of timing.
  'the bucket is away, from a part on': {
    of: nth(3, asks.part),
    says: new RegExp(`^The upload or the bucket is gone: Part \\d+ of .* 404 NoSuch|${MISSING.source}`),
    ...away,
  },
  'the bucket is away, from a finalize on': { of: asks.manifestStat, says: MISSING, ...away },
  'the key is revoked, from a Complete on': { of: nth(2, asks.complete), ...revoked },
  'the upload key is revoked, from a part on': {
    of: nth(2, asks.part),
    begin: () => user('key', 'rm', ...UPLOAD),
    mend: () => user('key', 'create', ...UPLOAD, '--secret=uploadsecret'),
    // What the gateway knows of the user, its key or what the key may do, goes first: as it happens.
    says: /403 (InvalidAccessKeyId|AccessDenied)/,
    ready: null,
  },
};

type Moment = readonly [of: keyof typeof asks, n: number, point: Point, end: 'reset' | 'cut'];
const MOMENTS: Moment[] = [
  ['open', 1, 'answering', 'reset'],
  ['part', 3, { sent: 200_000 }, 'reset'],
  ['part', 4, 'answering', 'cut'],
  ['complete', 1, 'asked', 'reset'],
  ['complete', 2, 'answering', 'reset'],
  ['complete', 3, { told: 150 }, 'cut'],
  ['read', 1, { told: 100_000 }, 'reset'],
  ['manifest', 1, { sent: 10_000 }, 'reset'],
  ['manifest', 1, 'answering', 'reset'],
];

onCeph('connections to the gateway that are reset or cut: the push ends well', async (t, place) => {
  for (const [of, n, point, end] of sampled(MOMENTS, 8)) {
    const what = `${end} at ${of} ${n}, ${typeof point === 'string' ? point : JSON.stringify(point)}`;
    await endsWell(t, place, what, async () => {
      await place.gateway.once({ point, of: nth(n, asks[of]), act: (link) => link[end]() });
      return undefined;
    });
  }
});

onCeph('every fifth request to the gateway is reset: the push ends well', async (t, place) => {
  let seen = 0;
  let resets = 0;
  const act = ({ reset }: Link) => {
    seen += 1;
    if (seen % 5 !== 0) return;
    resets += 1;
    reset();
  };
  await endsWell(t, place, 'every fifth', async () => {
    place.gateway.always({ point: 'sent', of: () => true, act });
    return 'in a row';
  });
  t.true(resets > 5);
  t.log(`${resets} resets`);
});

onCeph('a gateway that answers slowly: the push ends well, and nothing is sent twice', async (t, place) => {
  const { gateway, front } = place;
  gateway.slow = (exchange) => asks.part(exchange) || asks.read(exchange);
  await endsWell(t, place, 'a kilobyte in each turn', async () => 'parts and reads');
  gateway.slow = () => false;
  // The commit answers `verifying` before storage has answered: the Complete's answer waits until the client asks again.
  await endsWell(t, place, 'the answer to a Complete is held until the client has asked twice', async () => {
    let goOn = (): void => {};
    const polled = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    front.always({ point: 'asked', of: nth(2, ({ what }) => what.startsWith('GET /v1/uploads/')), act: () => goOn() });
    await gateway.once({ point: 'answering', of: asks.complete, act: () => polled });
    return undefined;
  });
});

if (postgres) {
  test.serial(
    'a bucket that is missing at the start: a clear error, and the same command ends well when it is made',
    async (t) => {
      const bucket = freshBucketName();
      const place = await startFaulted(t, ceph, postgres, bucket);
      const tree = await place.newTree();
      const { code, message, next } = errorOf(await place.push(tree));
      t.log(`${code}: ${message} → ${next}`);
      t.regex(message, new RegExp(`bucket "${bucket}" does not exist: create it, or correct ARTIFACT_STORE_S3_BUCKET`));
      t.regex((await place.api.get('/readyz')).body.blob_store.error, /NoSuchBucket/);
      await assertNotFinalized(t, place, tree);
      await createBucket(ceph, bucket);
      const pushed = await place.push(tree);
      t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
      await assertWhole(t, place, { tree, packageId: pushed.json.package_id });
    },
  );
}

for (const [name, { of, begin, mend, says, ready }] of sampled(Object.entries(TROUBLES))) {
  onCeph(`${name}: a clear error, and the same command ends well when it is mended`, async (t, place) => {
    const tree = await place.newTree();
    const made = place.gateway.once({ point: 'asked', of, act: () => begin(place) });
    const failed = await place.push(tree);
    await made;
    let mended = false;
    const repair = async () => {
      if (!mended) await mend(place);
      mended = true;
    };
    t.teardown(repair);
    const { code, message, next } = errorOf(failed);
    t.log(`${code}, exit ${failed.code}: ${message} → ${next}`);
    t.regex(message, says);
    t.truthy(next);
    const { body } = await place.api.get('/readyz');
    t.is(body.status, ready === null ? 'ready' : 'not_ready');
    if (ready !== null) t.regex(body.blob_store.error, ready);
    await assertNotFinalized(t, place, tree);
    await repair();
    mendWhileWaited(place);
    const pushed = await place.push(tree);
    t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
    const objects = await assertWhole(t, place, { tree, packageId: pushed.json.package_id });
    t.log(`mended: ${objects} objects read back`);
  });
}
