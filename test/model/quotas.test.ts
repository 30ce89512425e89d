import assert from 'node:assert/strict';
import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_QUOTAS } from '../../src/core/quotas.ts';
import { commitUpload } from '../../src/usecases/commit-upload.ts';
import { createPackage } from '../../src/usecases/create-package.ts';
import { deletePackage } from '../../src/usecases/delete-package.ts';
import { failPackage } from '../../src/usecases/fail-package.ts';
import { finalizePackage } from '../../src/usecases/finalize-package.ts';
import { planUploads } from '../../src/usecases/plan-uploads.ts';
import { recover } from '../../src/usecases/recover.ts';
import { registerFiles } from '../../src/usecases/register-files.ts';
import { removeFile } from '../../src/usecases/remove-file.ts';
import { SYSTEM } from '../../src/usecases/services.ts';
import { usualOrLong } from '../support/long.ts';
import { checkerHere } from '../support/model/checker-here.ts';
import { connectSqliteHere } from '../support/model/sqlite-here.ts';
import { openLab, World } from '../support/model/world.ts';

const own = process.env.ARTIFACT_STORE_TEST_SEED;
const SCHEDULES = usualOrLong(150, 30_000);
/** Some three files of those below fit. */
const QUOTAS = { ...DEFAULT_QUOTAS, bytes_per_producer: 100, open_packages: 3 };
const CONTENTS = Array.from({ length: 4 }, (_, n) => Buffer.from(`${n}`.repeat(10 * (n + 2))));

const lab = await openLab(connectSqliteHere(), checkerHere());
test.after.always(async () => {
  await lab.checker.close();
  await lab.registry.close();
});

const Deed = fc.record({
  producer: fc.constantFrom('p', 'q'),
  files: fc.array(fc.nat(CONTENTS.length - 1), { minLength: 1, maxLength: 3 }),
  /** What is done with it when its files are registered. */
  after: fc.constantFrom('nothing' as const, 'replace', 'remove', 'fail', 'delete', 'finalize', 'finalize and delete'),
});
type Deed = typeof Deed extends fc.Arbitrary<infer D> ? D : never;

const Scenario = fc.record({
  deeds: fc.array(Deed, { minLength: 2, maxLength: 6 }),
  /** Who goes on; when they are used up, the first. 0 mod 20: somebody dies. */
  choices: fc.array(fc.nat(1_000), { maxLength: 100 }),
});

test('whatever is pushed in whatever order, and whoever dies: quotas are kept, and what is reserved is what packages have', async (t) => {
  t.timeout(usualOrLong(300_000, 36_000_000));
  const found = await fc.check(fc.asyncProperty(Scenario, play), {
    numRuns: SCHEDULES,
    ...(own === undefined ? {} : { seed: Number(own) }),
  });
  t.log(`${found.numRuns} schedules, seed ${found.seed}`);
  if (!found.failed) return t.pass();
  t.fail(`${JSON.stringify(found.counterexample)}, seed ${found.seed}\n${found.errorInstance}`);
});

async function play({ deeds, choices }: typeof Scenario extends fc.Arbitrary<infer S> ? S : never): Promise<void> {
  const world = await World.open(lab);
  const alive: string[] = [];
  for (const deed of deeds) {
    const at = world.service(deed.after, QUOTAS);
    alive.push(at.instance);
    world.begin(deed.after, () => carryOut(world, at, deed));
  }
  const left = [...choices];
  await world.run((waiting) => {
    const choice = left.shift() ?? 0;
    if (left.length > 0 && choice % 20 === 0 && waiting > 1) {
      const [dying] = alive.splice(choice % Math.max(1, alive.length), 1);
      if (dying !== undefined) world.dies(dying);
    }
    return choice;
  });
  await assertKept(world);
  world.begin('recovery', () => recover(world.service('recovery', QUOTAS)));
  await world.run(() => 0);
  await assertKept(world);
  if (world.failures.length > 0) throw world.failures[0];
}

async function assertKept(world: World): Promise<void> {
  await world.assertUsage();
  for (const usage of await lab.registry.read.usage.list({ all: true }, null, 10)) {
    assert.ok(usage.used_bytes + usage.reserved_bytes <= QUOTAS.bytes_per_producer, JSON.stringify(usage));
    assert.ok(usage.open_packages <= QUOTAS.open_packages, JSON.stringify(usage));
    assert.ok(usage.used_bytes >= 0 && usage.reserved_bytes >= 0 && usage.open_packages >= 0, JSON.stringify(usage));
  }
}

type At = ReturnType<World['service']>;

async function carryOut(world: World, at: At, { producer, files, after }: Deed): Promise<void> {
  const { pkg } = await createPackage(at, SYSTEM, { name: 'n', producer });
  const register = (contents: readonly number[]) =>
    registerFiles(
      at,
      SYSTEM,
      pkg.id,
      contents.map((content, n) => {
        const bytes = CONTENTS[content] as Buffer;
        return { path: pathOf(n), digest: digestOf(bytes), size: bytes.length, replace: true };
      }),
    );
  await register(files);
  if (after === 'replace') await register(files.toReversed());
  if (after === 'remove') await removeFile(at, SYSTEM, pkg.id, pathOf(0), undefined);
  if (after === 'fail') await failPackage(at, SYSTEM, pkg.id, 'r');
  if (after === 'delete') await deletePackage(at, SYSTEM, pkg.id, 'r');
  if (!after.startsWith('finalize')) return;
  await send(world, at, pkg.id, [...new Set(files)]);
  await finalizePackage(at, SYSTEM, pkg.id);
  await world.expire(pkg.id);
  if (after === 'finalize and delete') await deletePackage(at, SYSTEM, pkg.id, 'r');
}

async function send(world: World, at: At, id: PackageId, contents: readonly number[]): Promise<void> {
  const objects = contents.map((content) => CONTENTS[content] as Buffer);
  const inputs = objects.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }));
  for (const [n, { upload }] of (await planUploads(at, SYSTEM, id, inputs)).entries()) {
    if (upload === null) continue;
    await world.send(at, upload.id, 1, objects[n] as Buffer);
    await commitUpload(at, SYSTEM, upload.id);
  }
}

function pathOf(n: number) {
  return parseLogicalPath(`f${n}`);
}
