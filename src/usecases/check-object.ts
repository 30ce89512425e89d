import { type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import { isHolding, type ObjectState } from '../core/object-state.ts';
import { isSound, type SurveyFindings } from '../core/object-survey.ts';
import type { CheckedObject, CheckedPlace, CheckResult } from '../registry/object-checks.ts';
import type { Tables } from '../registry/registry.ts';
import { lookUpObjects } from './look-up-objects.ts';
import { type PassBytes, readAgain } from './read-again.ts';
import { type Change, recordChanges } from './record-change.ts';
import { type Caller, type Services, SYSTEM, type WithReader } from './services.ts';

export interface Checked {
  result: CheckResult;
  /** It was not known before. */
  newly: boolean;
}

/** Packages that one object's damage is told of in the audit. */
const PACKAGES_TOLD = 1_000;

/**
 * A fixity check: all bytes of an object are read, and what is found is recorded. Wrong bytes are quarantined, place by place: never
 * read from there again, and missing to whoever plans an upload. An object that is wrong around its blobs' bytes is lost: those are
 * sent again when somebody has them, and can be read until then. Nothing is removed.
 * @throws whatever kept it from being read: no verdict
 */
export async function checkObject(
  services: Services<WithReader>,
  caller: Caller,
  object: CheckedObject,
  pass: PassBytes,
): Promise<Checked> {
  const { registry } = services;
  const { digest, size, stored_digest, encoding } = object;
  const begun = await registry.read.now();
  const places = await registry.read.checks.places(object.no);
  const frames =
    encoding === 'identity' ? null : ((await registry.read.blobs.frames([object.id])).get(object.id) ?? EMPTY);
  const stored = frames && { frames, digest: stored_digest };
  const plan = { digest, size, places: places.map(({ quarantined: _, ...place }) => place), stored };
  const { findings, storedSize } = await readAgain(services, object, plan, pass);
  if (isSound(findings)) return recordGood(services, object, places, begun);
  if (storedSize !== object.stored_size) await lookUpObjects(services, SYSTEM, null, [object.id]);
  if (storedSize === null) {
    return registry.transaction(async (tables): Promise<Checked> => {
      if ((await stateOf(tables, object)) === null) return SWEPT;
      await tables.checks.record(object.no, 'missing', 'is not in storage', await tables.now());
      return { result: 'missing', newly: wasGood(object) };
    });
  }
  return recordDamage(services, caller, object, places, findings);
}

/** Nobody knew of any damage. */
function wasGood({ result, state }: CheckedObject): boolean {
  return result === 'good' && isHolding(state);
}

/** A sweep was here meanwhile: nothing needs it, and nothing is said of it. */
const SWEPT: Checked = { result: 'good', newly: false };

/** Null: a sweep removes it, or has. */
async function stateOf({ blobs }: Tables, { id }: CheckedObject): Promise<ObjectState | null> {
  const state = (await blobs.getObject(id))?.state;
  return state === undefined || state === 'removing' || state === 'gone' ? null : state;
}

/** A row that has gone: no frame is right then. */
const EMPTY = Buffer.alloc(0);

async function recordGood(
  services: Services<WithReader>,
  object: CheckedObject,
  places: readonly CheckedPlace[],
  begun: number,
): Promise<Checked> {
  const isNewest = await services.registry.transaction(async (tables) => {
    if (!(await tables.checks.recordGood(object.no, begun, await tables.now()))) return false;
    if (places.some(({ quarantined }) => quarantined)) await tables.blobs.release(object.id);
    return true;
  });
  if (isNewest && object.state === 'lost') await lookUpObjects(services, SYSTEM, null, [object.id]);
  return { result: 'good', newly: false };
}

async function recordDamage(
  services: Services,
  caller: Caller,
  object: CheckedObject,
  places: readonly CheckedPlace[],
  findings: SurveyFindings,
): Promise<Checked> {
  const { bad, around } = findings;
  const seen = wordsOf(places, findings);
  const newly = await services.registry.transaction(async (tables) => {
    const at = await tables.now();
    const state = await stateOf(tables, object);
    if (state === null) return null;
    const quarantined = await tables.blobs.quarantine(
      object.id,
      bad.map((each) => each.digest),
      at,
    );
    const lost = around === null ? [] : await tables.blobs.markLost([object.id], at);
    await tables.checks.record(object.no, 'damaged', seen, at);
    if (quarantined.length + lost.length === 0 && !wasGood(object)) return false;
    const { id, kind, key, digest, stored_size } = object;
    const detail = { kind, key, digest, stored_size, seen, quarantined: quarantined.length };
    const change: Change = { at, action: 'object.damaged', package_id: null, subject_id: id, detail };
    const packages = await packagesOf(tables, { ...object, state: around === null ? state : 'lost' });
    // Each of its packages has the event; one that has none stands for itself.
    await recordChanges(
      tables,
      caller,
      packages.length === 0 ? [change] : packages.map((package_id) => ({ ...change, package_id })),
    );
    return true;
  });
  if (newly === null) return SWEPT;
  if (newly) {
    services.meters.damaged();
    services.log.error(
      { object_id: object.id, key: object.key, seen, bad: bad.slice(0, 10) },
      'stored bytes are damaged',
    );
  }
  return { result: 'damaged', newly };
}

async function packagesOf(tables: Tables, object: CheckedObject): Promise<PackageId[]> {
  const owner = ownerOf(object.key as ObjectKey);
  if (owner?.kind === 'manifest' || owner?.kind === 'attestation') return [owner.packageId];
  return tables.damaged.packagesOf(object, PACKAGES_TOLD);
}

/** What is wrong, half a sentence. */
function wordsOf(places: readonly CheckedPlace[], { bad, around }: SurveyFindings): string {
  const [first] = bad;
  const blobs = bad.length === 0 || first === undefined ? null : `${bad.length} of ${places.length} blobs`;
  const wrong =
    blobs === null
      ? null
      : places.length === 1
        ? `has ${first?.actual === null ? 'bytes that cannot be read' : `the digest ${first?.actual}`}`
        : `has wrong bytes of ${blobs}`;
  return [wrong, around].filter((words) => words !== null).join(', and ');
}
