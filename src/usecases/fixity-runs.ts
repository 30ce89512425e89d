import { attestationKey, manifestKey } from '../blobs/key-layout.ts';
import { StoreError } from '../core/errors.ts';
import { emptyFixityReport, type FixityReport } from '../core/fixity-report.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FixityRunRecord } from '../registry/fixity-runs.ts';
import type { CheckedObject } from '../registry/object-checks.ts';
import { readPackage } from './access.ts';
import { type DamagedItems, damagedItems } from './damaged-files.ts';
import { checkAll, paced } from './fixity.ts';
import { lookOverFiles } from './look-over-files.ts';
import { notedRun } from './noted-run.ts';
import type { Caller, Services, WithReader } from './services.ts';

export interface FixityOptions {
  /** Whose objects, and its manifest; null: all. */
  packageId: PackageId | null;
  /** Percent of the objects, by chance; null: all of them. */
  sample: number | null;
}

const PAGE = 200;
/** Damaged files that an answer names. */
const NAMED = 1_000;
const SEEDS = 100_003;

/**
 * Reads objects now, and goes on after the answer. At full speed: whoever asks for it wants to know.
 * @returns as it is in the registry @throws StoreError package_not_found, package_deleted
 */
export async function startFixityRun(
  services: Services<WithReader>,
  caller: Caller,
  { packageId, sample }: FixityOptions,
): Promise<FixityRunRecord> {
  const { registry } = services;
  if (packageId !== null) assertReadable(await readPackage(registry.read, caller, packageId));
  const report = emptyFixityReport();
  const { id, now } = await registry.transaction(async (tables) => {
    const now = await tables.now();
    const id = newId('fix', now);
    const asked = { id, asked_by: caller.actor, package_id: packageId, sample };
    await tables.fixityRuns.add({ ...asked, started_at: now, report });
    return { id, now };
  });
  services.inBackground('fixity_run', id, async (signal) => {
    const note = () => registry.transaction(async ({ fixityRuns, now }) => fixityRuns.note(id, report, await now()));
    const work = () => run(services, caller, { packageId, sample }, report, signal);
    const failure = await notedRun(services, { name: 'a reading', id }, note, work, signal);
    await registry.transaction(async (tables) => tables.fixityRuns.end(id, report, failure, await tables.now()));
    services.log.info({ fixity: id, package: packageId, sample, ...report }, 'a reading ended');
  });
  return (await registry.read.fixityRuns.get(id, now)) as FixityRunRecord;
}

async function run(
  services: Services<WithReader>,
  caller: Caller,
  options: FixityOptions,
  report: FixityReport,
  signal: AbortSignal,
): Promise<void> {
  const pass = paced(services, null, signal);
  for await (const objects of objectsOf(services, options)) {
    await checkAll(services, caller, objects, pass, report, signal);
    signal.throwIfAborted();
  }
}

async function* objectsOf(
  { registry }: Services,
  { packageId, sample }: FixityOptions,
): AsyncGenerator<CheckedObject[]> {
  const { checks } = registry.read;
  if (packageId !== null) {
    const ids = [...(await lookOverFiles(registry.read, packageId)).objectIds];
    yield await checks.getAmong([], [manifestKey(packageId), attestationKey(packageId)]);
    for (let at = 0; at < ids.length; at += PAGE) yield await checks.getAmong(ids.slice(at, at + PAGE));
    return;
  }
  const chosen = sample === null ? null : { percent: sample, seed: Math.floor(Math.random() * SEEDS) };
  for (let after = 0; ; ) {
    const page = await checks.page(after, PAGE, chosen);
    yield page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.no ?? after;
  }
}

/** A reading, and what is damaged of what it was to read. */
export interface FixityRun {
  run: FixityRunRecord;
  damaged: DamagedItems;
}

/** @throws StoreError fixity_not_found */
export async function getFixityRun({ registry }: Services, id: string): Promise<FixityRun> {
  const run = await registry.read.fixityRuns.get(id, await registry.read.now());
  if (run === null)
    throw new StoreError('fixity_not_found', `There is no reading ${JSON.stringify(id.slice(0, 100))}.`);
  const damaged = run.state === 'running' ? NOTHING : await damagedItems(registry.read, run.package_id, NAMED);
  return { run, damaged };
}

/** What is asked for at the end. */
const NOTHING: DamagedItems = { items: [], more: false };

/** The newest first. */
export async function listFixityRuns({ registry }: Services, limit: number): Promise<FixityRunRecord[]> {
  return registry.read.fixityRuns.list(limit, await registry.read.now());
}
