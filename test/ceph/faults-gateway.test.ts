import test, { type ExecutionContext } from 'ava';
import { CEPH } from '../support/ceph.ts';
import type { Point } from '../support/fault-proxy.ts';
import { asks, assertWhole, type Faulted, mendWhileWaited, nth, startFaulted } from '../support/faulted-service.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

/** What the gateway can do to a push, on a real Ceph and a real PostgreSQL. */
const ceph = await required('Faults of the gateway', CEPH);
const postgres = ceph && (await required('Faults of the gateway', POSTGRES));

const MIB = 1024 ** 2;

if (ceph && postgres) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  const start = (t: ExecutionContext) => startFaulted(t, ceph, postgres);

  /** The gateway is killed at a moment and started again at once; the push must end well by itself. */
  async function killedAt(t: ExecutionContext, place: Faulted, of: keyof typeof asks, n: number, point: Point) {
    const { gateway, push, newTree } = place;
    gateway.seen.length = 0;
    const tree = await newTree();
    mendWhileWaited(place);
    let restarted: Promise<void> | undefined;
    let halfDone = 0;
    gateway.once({
      point,
      of: nth(n, asks[of]),
      async act() {
        const killed = ceph?.killGateway();
        halfDone = gateway.seen.filter((each) => asks[of](each) && each.sent && !each.answered).length;
        await killed;
        restarted = ceph?.startGateway();
        await restarted;
      },
    });
    const t0 = Date.now();
    const pushed = await push(tree);
    const t1 = Date.now();
    t.truthy(restarted, 'the fault was made');
    await restarted;
    place.front.clear();
    t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
    const objects = await assertWhole(t, place, tree, pushed.json.package_id);
    const moment = typeof point === 'string' ? point : `after ${point.bytes} bytes`;
    t.log(
      `killed at ${of} ${n}, ${moment}: ${halfDone} passed on and not answered; ${objects} objects read; push ${t1 - t0} check ${Date.now() - t1}`,
    );
  }

  test.serial('killed in the middle of an upload: the push ends well', async (t) => {
    const place = await start(t);
    for (const [n, point] of [
      [1, 'asked'],
      [3, { bytes: 64 * 1024 }],
      [4, { bytes: MIB }],
      [5, 'sent'],
      [2, 'answering'],
    ] as const) {
      await killedAt(t, place, 'part', n, point);
    }
  });
}
