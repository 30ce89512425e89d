import type { ExecutionContext, TestFn } from 'ava';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import type { Registry, Tables } from '../../src/registry/registry.ts';
import { addPackage } from '../support/package-row.ts';
import { packRow } from '../support/registries.ts';
import type { RegistrySuite } from './registry.ts';

const [A, B] = ['a', 'b'].map(digestOf) as [Digest, Digest];
const NOW = 1_000_000;
const DAY = 86_400_000;
/** Of no package: its manifest and attestation. */
const OF_ITS_OWN = ['no manifest', 'no attestation'] as const;

/** What the registry says of locks: what is behind, what was told, and a hold that is lifted while another one wants it. */
export function registryLocksSuite(test: TestFn, { name, open }: RegistrySuite): void {
  function check(title: string, body: (t: ExecutionContext, registry: Registry) => Promise<void>): void {
    test(`${name}: ${title}`, async (t) => {
      const [one] = await open(t);
      await one.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
      await body(t, one);
    });
  }

  check(
    'an object is behind as long as it is locked less than its package wants, and is never lowered',
    async (t, one) => {
      const id = await finalized(one, [A]);
      await object(one, 'obj_a', [A]);
      const wanted = { until: NOW + DAY, held: false };
      const behind = () => one.read.locks.listOfPackage(id, OF_ITS_OWN, wanted, 0, 9);
      t.like(await behind(), [{ id: 'obj_a', key: 'obj_a', until: NOW + DAY, hold: null }]);
      const [{ no } = { no: 0 }] = await behind();
      t.deepEqual(await one.read.locks.listOfPackage(id, OF_ITS_OWN, wanted, no, 9), [], 'page by page');
      t.false(await told(one, [{ no, until: NOW + DAY, held: false }]));
      t.deepEqual(await behind(), []);
      await told(one, [{ no, until: NOW + 1, held: false }]);
      t.deepEqual(await behind(), [], 'storage was told a later time before');
      t.like(await one.read.locks.sample(0, 9, NOW), [{ id: 'obj_a', version_id: 'v', locked_until: NOW + DAY }]);
      t.deepEqual(await one.read.locks.sample(0, 9, NOW + DAY), [], 'its time is over');
      const later = { until: NOW + 2 * DAY, held: true };
      t.like(await one.read.locks.listOfPackage(id, OF_ITS_OWN, later, 0, 9), [{ until: NOW + 2 * DAY, hold: true }]);
    },
  );

  check('a hold is lifted when no package wants it; one that wants it meanwhile is not forgotten', async (t, one) => {
    const [first, second] = [await finalized(one, [A]), await finalized(one, [A, B])];
    await object(one, 'obj_a', [A]);
    const none = { until: null, held: false };
    const behind = () => one.read.locks.listOfPackage(first, OF_ITS_OWN, none, 0, 9);
    const [{ no } = { no: 0 }] = await one.read.locks.listOfPackage(
      first,
      OF_ITS_OWN,
      { until: null, held: true },
      0,
      9,
    );
    t.false(await told(one, [{ no, until: null, held: true }]));
    await hold(one, second, 1);
    t.deepEqual(await behind(), [], 'the other one wants it');
    t.deepEqual(await one.transaction(({ locks }) => locks.beginLifting('objects', [no], NOW)), []);
    await hold(one, second, 0);
    t.like(await behind(), [{ id: 'obj_a', hold: false }]);

    const lift = () => one.transaction(({ locks }) => locks.beginLifting('objects', [no], NOW));
    t.deepEqual(await lift(), [no]);
    t.deepEqual(await lift(), [], 'somebody is at it');
    await hold(one, second, 1);
    const held = () => one.read.locks.listOfPackage(second, OF_ITS_OWN, { until: null, held: true }, 0, 9);
    t.like(await held(), [{ id: 'obj_a', hold: true }], 'nobody believes in it while it is being lifted');
    t.true(await told(one, [{ no, until: null, held: true }]), 'nobody knows which of both storage heard last');
    t.like(await held(), [{ id: 'obj_a', hold: true }]);
    await one.transaction(({ locks }) => locks.endLifting('objects', [no], NOW));
    t.like(await one.read.locks.listMarked(0, 9, NOW), [{ id: 'obj_a', hold: true }]);
    t.false(await told(one, [{ no, until: NOW + DAY, held: true }]));
    await one.transaction(({ locks }) => locks.unmark([no], NOW));
    t.deepEqual(await one.read.locks.listMarked(0, 9, NOW), []);
    t.deepEqual(await held(), []);

    // Whoever lifted it has died.
    await hold(one, second, 0);
    t.deepEqual(await lift(), [no]);
    await hold(one, second, 1);
    t.false(await told(one, [{ no, until: null, held: true }], NOW + 3_600_000));
    t.deepEqual(await held(), []);
  });

  check(
    'what is marked is locked for the package that needs it longest, and stays marked until it is',
    async (t, one) => {
      const [short, long] = [await finalized(one, [A], NOW + DAY), await finalized(one, [B], NOW + 9 * DAY)];
      await object(one, 'obj_pack', [A, B]);
      await one.transaction(({ locks }) => locks.mark(['obj_pack']));
      const marked = () => one.read.locks.listMarked(0, 9, NOW);
      t.like(await marked(), [{ id: 'obj_pack', until: NOW + 9 * DAY, hold: null }]);
      const [{ no } = { no: 0 }] = await marked();
      await told(one, [{ no, until: NOW + DAY, held: false }]);
      await one.transaction(({ locks }) => locks.unmark([no], NOW));
      t.is((await marked()).length, 1, 'it is behind');
      await one.transaction(({ packages }) => packages.update(long, { status: 'deleted' }));
      t.like(await marked(), [{ until: null }]);
      await one.transaction(({ packages }) => packages.update(short, { expires_at: null }));
      t.like(await marked(), [{ until: null, hold: true }], 'what never ends is held');
      await told(one, [{ no, until: null, held: true }]);
      await one.transaction(({ locks }) => locks.unmark([no], NOW));
      t.deepEqual(await marked(), []);
      t.is(await one.read.locks.countBehind(9), 0);
      await one.transaction(({ locks }) => locks.forget([{ no, until: null, held: false }]));
      t.like(await marked(), [{ hold: true }], 'storage says otherwise');
    },
  );

  check('a package is told until it wants something else', async (t, one) => {
    const id = await finalized(one, [A]);
    t.is(await one.read.locks.getPackage(id), null);
    await one.transaction(({ locks }) => locks.want([id]));
    t.deepEqual(await one.read.locks.listPackages('', 9), [id]);
    const first = await one.read.locks.getPackage(id);
    if (first === null) throw new Error('it wants nothing');
    await one.transaction(({ locks }) => locks.want([id]));
    t.false(await one.transaction(({ locks }) => locks.setTold(first)), 'it wants more by now');
    const second = await one.read.locks.getPackage(id);
    t.true(await one.transaction(({ locks }) => locks.setTold(second ?? first)));
    t.deepEqual(await one.read.locks.listPackages('', 9), []);
  });

  check('what is locked is not removed, and of two places not the one that is locked', async (t, one) => {
    const id = await finalized(one, [A]);
    await object(one, 'obj_locked', [A]);
    await object(one, 'obj_other', [A]);
    await one.transaction(({ locks }) => locks.setRefused([{ id: 'obj_locked', until: NOW + DAY }]));
    const unneeded = async (now: number) => (await one.read.blobs.listUnneeded(0, 9, now)).objects.map(({ id }) => id);
    t.deepEqual(await unneeded(NOW), ['obj_other']);
    t.deepEqual(await unneeded(NOW + DAY), ['obj_locked', 'obj_other']);
    t.deepEqual(await one.transaction(({ blobs }) => blobs.condemn(['obj_locked'], NOW)), []);
    await one.transaction(({ packages }) => packages.update(id, { status: 'deleted' }));
    t.deepEqual(await one.transaction(({ blobs }) => blobs.condemn(['obj_locked'], NOW)), ['obj_locked']);
    const due = (now: number) => ({ unneeded: now, elsewhere: now, now });
    t.deepEqual((await one.read.blobs.listDue(due(NOW), 0, 9)).objects, []);
    t.deepEqual(await one.transaction(({ blobs }) => blobs.beginRemoving(['obj_locked'], due(NOW), NOW)), []);
    t.deepEqual(await one.read.locks.countKept('condemned', NOW), { objects: 1, bytes: 1 });
    t.like((await one.read.blobs.listDue(due(NOW + DAY), 0, 9)).objects, [{ id: 'obj_locked' }]);
    const removing = await one.transaction(({ blobs }) => blobs.beginRemoving(['obj_locked'], due(NOW + DAY), NOW));
    t.deepEqual(removing, ['obj_locked']);
    t.deepEqual((await one.read.blobs.listRemoving(0, 9, NOW)).objects, [], 'storage would refuse');
    t.is((await one.read.blobs.listRemoving(0, 9, NOW + DAY)).objects.length, 1);
  });
}

async function finalized(one: Registry, digests: readonly Digest[], expires_at = NOW + DAY): Promise<PackageId> {
  const id = await addPackage(one, { expires_at });
  const facts = { size: 1, media_type: 'text/plain', mtime: null, executable: false, proven: true };
  await one.transaction(async ({ files, packages }) => {
    await files.put(
      id,
      digests.map((digest) => ({ ...facts, digest, path: parseLogicalPath(`f${digest.slice(7, 20)}`) })),
    );
    await packages.update(id, { status: 'finalized', finalized_at: 1 });
  });
  return id;
}

function object(one: Registry, id: string, digests: readonly Digest[]): Promise<void> {
  return one.transaction(async ({ blobs }: Tables) => {
    await blobs.addObject(packRow(id));
    await blobs.addLocations(
      id,
      digests.map((digest, offset) => ({ digest, size: 1, offset })),
    );
  });
}

const hold = (one: Registry, id: PackageId, active_holds: number): Promise<void> =>
  one.transaction(({ packages }) => packages.update(id, { active_holds }));

const told = (
  one: Registry,
  rows: ReadonlyArray<{ no: number; until: number | null; held: boolean }>,
  now = NOW,
): Promise<boolean> =>
  one.transaction(({ locks }) =>
    locks.record(
      'objects',
      rows.map((row) => ({ ...row, version_id: 'v' })),
      now,
    ),
  );
