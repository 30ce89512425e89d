import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { commitUpload } from '../../src/usecases/commit-upload.ts';
import { createPackage } from '../../src/usecases/create-package.ts';
import { deletePackage } from '../../src/usecases/delete-package.ts';
import { extendRetention } from '../../src/usecases/extend-retention.ts';
import { finalizePackage } from '../../src/usecases/finalize-package.ts';
import { startFixityRun } from '../../src/usecases/fixity-runs.ts';
import { placeHold } from '../../src/usecases/place-hold.ts';
import { planUploads } from '../../src/usecases/plan-uploads.ts';
import { recover } from '../../src/usecases/recover.ts';
import { registerFiles } from '../../src/usecases/register-files.ts';
import { releaseHold } from '../../src/usecases/release-hold.ts';
import { SYSTEM } from '../../src/usecases/services.ts';
import { startSweep } from '../../src/usecases/sweep.ts';
import { usualOrLong } from '../support/long.ts';
import { checkerHere } from '../support/model/checker-here.ts';
import { connectSqliteHere } from '../support/model/sqlite-here.ts';
import { openLab, SWEEP, World } from '../support/model/world.ts';
import { packOf } from '../support/pack.ts';

/** ARTIFACT_STORE_TEST_SEED runs the schedules of another run again. */
const own = process.env.ARTIFACT_STORE_TEST_SEED;
/** ARTIFACT_STORE_TEST_SCHEDULES divides a long run among processes, each with its own seed. */
const SCHEDULES = Number(process.env.ARTIFACT_STORE_TEST_SCHEDULES ?? usualOrLong(200, 200_000));
/** Few, so that packages share them. */
const CONTENTS = Array.from({ length: 5 }, (_, n) => Buffer.from(`content ${n} `.repeat(n + 1)));
const ATTEMPTS = 4;

const lab = await openLab(connectSqliteHere(), checkerHere());
test.after.always(async () => {
  await lab.checker.close();
  await lab.registry.close();
});

/** What somebody does in one schedule. */
const Deed = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      files: someOf(),
      packed: fc.boolean(),
      replaced: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('extend' as const, 'hold' as const, 'recover' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fixity' as const) }) },
);
type Deed = typeof Deed extends fc.Arbitrary<infer D> ? D : never;

function someOf(): fc.Arbitrary<number[]> {
  return fc.uniqueArray(fc.nat(CONTENTS.length - 1), { minLength: 1, maxLength: 3 });
}

const Scenario = fc.record({
  /** Packages that are there before, by their contents; each is expired. */
  before: fc.array(someOf(), { minLength: 1, maxLength: 2 }),
  /** Whether sweeps have condemned what those leave that were deleted before. */
  condemned: fc.boolean(),
  deeds: fc.array(Deed, { minLength: 2, maxLength: 5 }),
  /** Who goes on; when they are used up, the first. 0 mod 40: somebody dies; 1 mod 40: eleven minutes pass. */
  choices: fc.array(fc.nat(1_000), { maxLength: 120 }),
});

test('whatever happens in whatever order, and whoever dies: no finalized package loses a byte, and what nothing needs goes', async (t) => {
  t.timeout(usualOrLong(600_000, 36_000_000));
  const found = await fc.check(
    fc.asyncProperty(Scenario, async (scenario) => {
      const world = await World.open(lab);
      try {
        await play(world, scenario);
      } catch (error) {
        throw new Error(`${(error as Error).stack}\n\n${world.schedule.log.join('\n')}`);
      }
    }),
    { numRuns: SCHEDULES, ...(own === undefined ? {} : { seed: Number(own) }) },
  );
  t.log(`${found.numRuns} schedules, seed ${found.seed}`);
  if (!found.failed) return t.pass();
  t.fail(
    `${JSON.stringify(found.counterexample)}, seed ${found.seed}, path ${found.counterexamplePath}\n${found.errorInstance}`,
  );
});

async function play(
  world: World,
  { before, condemned, deeds, choices }: typeof Scenario extends fc.Arbitrary<infer S> ? S : never,
) {
  const packages: PackageId[] = [];
  const undisturbed = () => 0;
  const at = world.service('before');
  for (const files of before) world.begin('before', () => push(world, at, packages, files, files.length > 1, false));
  await world.run(undisturbed);
  for (const id of packages) await world.expire(id);
  if (condemned) {
    world.begin('before', async () => deletePackage(at, SYSTEM, packages[0] as PackageId, 'over'));
    await world.run(undisturbed);
    world.begin('before', () => startSweep(at, SYSTEM, SWEEP));
    await world.run(undisturbed);
    world.pass(11 * 60_000);
  }

  const alive: string[] = [];
  for (const deed of deeds) {
    const services = world.service(deed.do);
    alive.push(services.instance);
    world.begin(deed.do, () => carryOut(world, services, packages, deed));
  }
  const left = [...choices];
  await world.run((waiting) => {
    const choice = left.shift() ?? 0;
    if (left.length > 0 && choice % 40 === 1) world.pass(11 * 60_000);
    if (left.length > 0 && choice % 40 === 0 && waiting > 1) {
      const [dying] = alive.splice(choice % Math.max(1, alive.length), 1);
      if (dying !== undefined) world.dies(dying);
    }
    return choice;
  });
  await world.assertWhole();
  await world.assertUsage();
  await world.comeToRest();
  await world.assertWhole();
  await world.assertAtRest();
  await world.assertUsage();
  if (world.failures.length > 0) throw world.failures[0];
}

type At = ReturnType<World['service']>;

async function carryOut(world: World, at: At, packages: PackageId[], deed: Deed): Promise<void> {
  if (deed.do === 'push') return push(world, at, packages, deed.files, deed.packed, deed.replaced);
  if (deed.do === 'sweep') return void (await startSweep(at, SYSTEM, SWEEP));
  if (deed.do === 'recover') return recover(at);
  if (deed.do === 'fixity') return void (await startFixityRun(at, SYSTEM, { packageId: null, sample: null }));
  const [id] = packages;
  if (id === undefined) return;
  if (deed.do === 'delete') return void (await deletePackage(at, SYSTEM, id, 'over'));
  if (deed.do === 'extend') return void (await extendRetention(at, SYSTEM, id, { expires_at: Date.now() + 1e9 }, 'r'));
  const hold = await placeHold(at, SYSTEM, id, 'r', null);
  await releaseHold(at, SYSTEM, id, hold.id, 'r');
}

/** As a client pushes: what is missing is sent, and sent again as long as something is. */
async function push(
  world: World,
  at: At,
  packages: PackageId[],
  chosen: readonly number[],
  packed: boolean,
  replaced: boolean,
) {
  const { pkg } = await createPackage(at, SYSTEM, { name: 'n', producer: 'p' });
  const files = chosen.map((n) => ({ path: parseLogicalPath(`f${n}`), content: CONTENTS[n] as Buffer }));
  if (replaced) {
    const other = CONTENTS[(chosen[0] as number) === 0 ? 1 : 0] as Buffer;
    await registerFiles(at, SYSTEM, pkg.id, [
      { path: files[0]?.path as never, digest: digestOf(other), size: other.length },
    ]);
  }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      const inputs = files.map(({ path, content }) => ({
        path,
        digest: digestOf(content),
        size: content.length,
        replace: true,
      }));
      const registered = await registerFiles(at, SYSTEM, pkg.id, inputs);
      const wanted = registered.filter(({ proven, lost }) => !proven || lost).map(({ digest }) => digest);
      const contents = files.map(({ content }) => content).filter((content) => wanted.includes(digestOf(content)));
      await sendAll(world, at, pkg.id, contents, packed);
      await finalizePackage(at, SYSTEM, pkg.id);
      packages.push(pkg.id);
      return;
    } catch (error) {
      if (!isStoreError(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function sendAll(
  world: World,
  at: At,
  id: PackageId,
  contents: readonly Buffer[],
  packed: boolean,
): Promise<void> {
  if (contents.length === 0) return;
  const pack = packed && contents.length > 1 ? packOf([...contents]) : null;
  const objects = pack
    ? [{ digest: pack.digest as never, size: pack.size, members: pack.members as never, bytes: pack.bytes }]
    : contents.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length, bytes }));
  const planned = await planUploads(at, SYSTEM, id, objects);
  for (const { digest, upload } of planned) {
    if (upload === null) continue;
    const bytes = objects.find((object) => object.digest === digest)?.bytes as Buffer;
    for (const part of upload.parts)
      await world.send(at, upload.id, part.number, bytes.subarray(part.offset, part.offset + part.size));
    await commitUpload(at, SYSTEM, upload.id);
  }
}
