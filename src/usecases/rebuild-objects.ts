import type { ObjectStat } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import { OBJECTS_PREFIX, type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { derivedId, timeOfId, type UploadId } from '../core/ids.ts';
import type { PackMember } from '../core/pack.ts';
import { name } from '../core/rebuild-report.ts';
import { addTo } from '../core/sweep-report.ts';
import type { Tables } from '../registry/registry.ts';
import { examineObject, type RightObject, type WrongObject } from './examine-object.ts';
import { inOrder } from './in-order.ts';
import type { Rebuild } from './rebuild-run.ts';
import { versionOf } from './version-of.ts';

/** For each thread that reads: others wait for storage meanwhile. */
const READ_AT_ONCE = 4;
/** Of one transaction: the smaller of both. */
const BLOBS = 8_000;
const OBJECTS = 200;
/** What is read in this time is recorded, ms: a rebuild that dies loses no more. */
const RECORD_MS = 5_000;

interface Listed {
  key: ObjectKey;
  versionId: string | null;
  size: number;
  digest: Digest;
  uploadId: UploadId;
}

type Read = Listed & { found: RightObject | WrongObject };

/**
 * Stage 2: reads every object of the store. What its bytes hold is known from then on, whether a package needs it or not. What is
 * not what its key says is named, and left alone, unless it is a pack with members that some file needs: those are right.
 */
export async function rebuildObjects(rebuild: Rebuild, after: string): Promise<void> {
  let next = 0;
  const read = inOrder(listed(rebuild, after), READ_AT_ONCE * rebuild.checkers.length, async (each): Promise<Read> => {
    const object = { ...each, versionId: await versionOf(rebuild.objects, each) };
    const checker = rebuild.checkers[next++ % rebuild.checkers.length] as StreamChecker;
    return { ...object, found: await examineObject(rebuild.objects, checker, object, object.digest) };
  });
  let batch: Read[] = [];
  let blobs = 0;
  let since = Date.now();
  for await (const object of read) {
    batch.push(object);
    blobs += membersOf(object).length || 1;
    if (blobs < BLOBS && batch.length < OBJECTS && Date.now() < since + RECORD_MS) continue;
    await record(rebuild, batch);
    batch = [];
    blobs = 0;
    since = Date.now();
  }
  await record(rebuild, batch);
}

async function* listed({ objects, signal }: Rebuild, after: string): AsyncGenerator<Listed> {
  for await (const { key, versionId, size } of objects.list(OBJECTS_PREFIX) as AsyncIterable<
    ObjectStat & { key: ObjectKey }
  >) {
    signal.throwIfAborted();
    const owner = ownerOf(key);
    if (owner?.kind === 'blob' && key > after)
      yield { key, versionId, size, digest: owner.digest, uploadId: owner.uploadId };
  }
}

async function record(rebuild: Rebuild, batch: readonly Read[]): Promise<void> {
  const last = batch.at(-1);
  if (last === undefined) return;
  await rebuild.step('objects', last.key, async (tables, report) => {
    const files = await tables.rebuilds.filesAmong(asked(batch));
    const now = await tables.now();
    const known = new Map([...files, ...(await tables.rebuilds.filesAmong(ambiguous(batch, files)))]);
    for (const object of batch) {
      const { key, size, found } = object;
      if (found.salvaged !== null) {
        const held = stillHeldBy(found, files);
        name(held === null ? report.wrong_objects : report.damaged_packs, key);
        if (held !== null) await adoptDamaged(tables, object, found, held, now);
        continue;
      }
      const held = heldBy(object, found.content, known);
      await adopt(tables, object, { ...held, size: found.content.size, stored: found.stored }, now);
      addTo(report.objects, size);
      if (held.kind === 'pack') report.packs += 1;
    }
  });
}

function membersOf({ found }: Read): PackMember[] {
  return found.salvaged === null ? (found.content.members ?? []) : [...found.salvaged.good, ...found.salvaged.bad];
}

/** Packs that are right, and the members of those that are not. */
function asked(batch: readonly Read[]): Digest[] {
  return batch.flatMap((object) => {
    const members = membersOf(object).map(({ digest }) => digest);
    return object.found.salvaged === null && members.length > 0 ? [object.digest] : members;
  });
}

/** Packs that some file has as a whole, and their members. */
function ambiguous(batch: readonly Read[], files: ReadonlyMap<Digest, number>): Digest[] {
  return batch.flatMap((object) => {
    const isAmbiguous = object.found.salvaged === null && files.has(object.digest);
    return isAmbiguous ? [object.digest, ...membersOf(object).map(({ digest }) => digest)] : [];
  });
}

interface Held {
  kind: 'blob' | 'pack';
  places: PackMember[];
}

/**
 * What an object holds: itself, or a pack's members. A file may be what a pack is: then it is one only if a file has a member as well,
 * and holds itself too. @param known of what some file has as a whole, and of its members
 */
function heldBy(
  { digest }: Listed,
  { members, size }: RightObject['content'],
  known: ReadonlyMap<Digest, number>,
): Held {
  const whole: PackMember = { digest, offset: 0, size };
  if (members === null) return { kind: 'blob', places: [whole] };
  if (!known.has(digest)) return { kind: 'pack', places: members };
  const isPack = members.some((member) => known.has(member.digest));
  return isPack ? { kind: 'pack', places: [...members, whole] } : { kind: 'blob', places: [whole] };
}

interface Damaged {
  places: PackMember[];
  bad: Digest[];
}

/**
 * What a damaged pack still holds; null: nothing that a file needs. Of wrong bytes only a header says whose they are: it is believed where a
 * file says the same.
 */
function stillHeldBy({ salvaged: { good, bad } }: WrongObject, files: ReadonlyMap<Digest, number>): Damaged | null {
  if (!good.some(({ digest }) => files.has(digest))) return null;
  const badOnes = bad.filter(({ digest, size }) => files.get(digest) === size);
  const places = [...good, ...badOnes].toSorted((a, b) => a.offset - b.offset);
  return { places, bad: badOnes.map(({ digest }) => digest) };
}

async function adopt(
  tables: Tables,
  { key, versionId, digest, uploadId }: Listed,
  { kind, places, size, stored }: Held & Pick<RightObject, 'stored'> & { size: number },
  readAt: number,
  goodAt = readAt,
): Promise<string> {
  const createdAt = timeOfId(uploadId);
  const id = derivedId('obj', createdAt, key);
  const object = { id, kind, key, version_id: versionId, digest, size, stored, created_at: createdAt };
  await tables.blobs.addObject(object, readAt, goodAt);
  await tables.blobs.addLocations(id, places);
  return id;
}

/** When all of an object was right is not known; ms. */
const NEVER = 0;

/** The next fixity check reads it first, and says what else is wrong with it. */
async function adoptDamaged(
  tables: Tables,
  object: Listed,
  { size, stored }: WrongObject,
  { places, bad }: Damaged,
  now: number,
): Promise<void> {
  const id = await adopt(tables, object, { kind: 'pack', places, size, stored }, now, NEVER);
  await tables.blobs.quarantine(id, bad, now);
  await tables.checks.suspect({ id });
}
