import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SignedRequest, UploadHandle } from '../blobs/blob-store.ts';
import { blobKey, type ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { checkFrameTable, FRAME_ENTRY_SIZE, FrameTable, type StoredForm } from '../core/frame-table.ts';
import { newId, type PackageId, type UploadId } from '../core/ids.ts';
import type { Limits } from '../core/limits.ts';
import { checkMembers, type PackMember } from '../core/pack.ts';
import { nextStatus } from '../core/package-state.ts';
import { checkParts, type PlannedPart, tooLarge } from '../core/part-plan.ts';
import { FrameError } from '../core/zstd-frame.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/uploads.ts';
import { abortOpen } from './abort-upload.ts';
import { lockPackage, readUpload } from './access.ts';
import { mapLimit } from './map-limit.ts';
import { recordChange } from './record.ts';
import type { Caller, Services } from './services.ts';

export interface ObjectInput {
  digest: Digest;
  size: number;
  /** What is sent in its place; without it the object itself is. */
  stored?: StoredForm | undefined;
  /** Of what is sent. */
  parts?: ReadonlyArray<{ digest: Digest; size: number }> | undefined;
  /** Makes it a pack. */
  members?: readonly PackMember[] | undefined;
}

/** An object as it is to be uploaded, checked. */
interface ObjectPlan {
  digest: Digest;
  size: number;
  stored: StoredForm | null;
  parts: PlannedPart[];
  /** The client listed them: they are not just what follows from the size. */
  partsGiven: boolean;
  members: PackMember[] | null;
}

/** A part and the request that sends it. */
export interface PartRequest extends PlannedPart {
  received: boolean;
  request: SignedRequest;
}

export interface PlannedUpload {
  digest: Digest;
  /** Null: nothing to send. */
  upload: { id: UploadId; parts: PartRequest[] } | null;
}

/** Why an upload that stands is not given back, in the audit. */
const REPLANNED = 'It had expired, or was planned with another size, encoding, other parts or other members.';

/** How many storage calls a batch has in flight. */
const STORAGE_CONCURRENCY = 16;
const SIGNED_A_TURN = 100;

/**
 * Opens an upload for each object that holds what files of the package still need: a blob, or a pack of them. Planning a
 * digest again gives its open upload back, with the parts that have arrived marked: that is how a client resumes.
 * @throws StoreError object_not_registered, parts_required, invalid_parts, invalid_pack, invalid_frames, package_sealed, …
 */
export async function planUploads(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  inputs: readonly ObjectInput[],
): Promise<PlannedUpload[]> {
  const plans = checkObjects(services, inputs);
  const { needed, fresh } = await openUploads(services, caller, packageId, plans);
  for (const upload of needed.values()) if (isReadBack(upload)) services.checker.expect(upload.size);
  const uploads = await nameInStorage(services, [...needed.values()]);
  for (const upload of needed.values()) if (!uploads.has(upload.id)) throw closed(upload.id);
  const parts = await services.registry.read.uploads.parts([...uploads.keys()]);
  const expiresAt = await urlExpiry(services);
  return mapLimit(inputs, STORAGE_CONCURRENCY, async ({ digest }) => {
    const upload = needed.get(digest);
    const handle = upload && uploads.get(upload.id);
    if (!upload || !handle) return { digest, upload: null };
    const planned = parts.get(upload.id) ?? [];
    // What was opened a moment ago cannot have received anything: no need to ask storage.
    const received = fresh.has(upload.id) ? new Set<number>() : await receivedParts(services, upload, handle, planned);
    return {
      digest,
      upload: { id: upload.id, parts: await signParts(services, handle, planned, received, expiresAt) },
    };
  });
}

/** Fresh URLs for some parts of an open upload. @throws StoreError upload_not_found, part_not_found, upload_closed */
export async function signUploadParts(
  services: Services,
  caller: Caller,
  uploadId: UploadId,
  numbers: readonly number[],
): Promise<PartRequest[]> {
  const { upload } = await readUpload(services.registry.read, caller, uploadId);
  const handle = upload.state === 'open' ? (await nameInStorage(services, [upload])).get(uploadId) : undefined;
  if (handle === undefined) throw closed(uploadId);
  const parts = (await services.registry.read.uploads.parts([uploadId])).get(uploadId) ?? [];
  const byNumber = new Map(parts.map((part) => [part.number, part]));
  const wanted = numbers.map((number) => {
    const part = byNumber.get(number);
    if (!part) throw new StoreError('part_not_found', `Upload ${uploadId} has no part ${number}.`);
    return part;
  });
  const received = await receivedParts(services, upload, handle, parts);
  return signParts(services, handle, wanted, received, await urlExpiry(services));
}

function closed(uploadId: UploadId): StoreError {
  return new StoreError('upload_closed', `Upload ${uploadId} is not open any more: plan the object again.`);
}

function checkObjects({ limits }: Services, inputs: readonly ObjectInput[]): Map<Digest, ObjectPlan> {
  const plans = new Map<Digest, ObjectPlan>();
  const held = new Set<Digest>();
  let parts = 0;
  let members = 0;
  let frames = 0;
  for (const input of inputs) {
    const plan = checkObject(input, limits);
    const { digest } = plan;
    parts += plan.parts.length;
    members += plan.members?.length ?? 0;
    frames += plan.stored === null ? 0 : plan.stored.frames.length / FRAME_ENTRY_SIZE;
    const again = plans.has(digest) ? digest : contentsOf(plan).find((blob) => held.has(blob.digest))?.digest;
    if (again !== undefined) {
      throw new StoreError('invalid_request', `${again} stands twice in the request.`, { digest: again });
    }
    plans.set(digest, plan);
    for (const blob of contentsOf(plan)) held.add(blob.digest);
  }
  assertFew('parts', parts, limits.parts_per_call);
  assertFew('members', members, limits.members_per_call);
  assertFew('frames', frames, limits.frames_per_call);
  return plans;
}

function checkObject(input: ObjectInput, limits: Limits): ObjectPlan {
  const { digest, size, parts, members } = input;
  const stored = input.stored ?? null;
  const checked = members === undefined ? null : checkMembers({ digest, size, members }, limits);
  if (stored !== null) checkStored({ digest, size, members: checked }, stored, limits);
  const sent =
    stored === null ? { digest, size, parts } : { digest: stored.digest, size: stored.size, parts, of: digest };
  return {
    digest,
    size,
    stored,
    parts: sent.size === 0 ? [] : checkParts(sent, limits),
    partsGiven: parts !== undefined,
    members: checked,
  };
}

/** @throws StoreError invalid_frames, size_mismatch */
function checkStored({ digest, size, members }: Contents, stored: StoredForm, { object_size_max }: Limits): void {
  if (size > object_size_max) throw tooLarge(digest, size, object_size_max);
  try {
    checkFrameTable(FrameTable.decode(stored.frames), { size, storedSize: stored.size, members });
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new StoreError('invalid_frames', `${digest} ${error.message}.`, { digest }, { cause: error });
  }
  if (stored.size >= size) {
    const detail = `${digest} has ${stored.size} bytes in frames, and ${size} without: send it as it is.`;
    throw new StoreError('invalid_frames', detail, { digest });
  }
}

function assertFew(what: string, count: number, most: number): void {
  if (count <= most) return;
  throw new StoreError('invalid_request', `The objects have ${count} ${what} together; plan at most ${most} a call.`);
}

/** Whether a completed upload is read from storage before it is recorded, whatever storage says of its bytes. */
export function isReadBack({ kind, encoding }: Pick<UploadRecord, 'kind' | 'encoding'>): boolean {
  return kind === 'pack' || encoding !== 'identity';
}

interface Contents {
  digest: Digest;
  size: number;
  members: readonly PackMember[] | null;
}

/** The blobs that an object holds, and where: itself, or a pack's members. */
export function contentsOf({ digest, size, members }: Contents): readonly PackMember[] {
  return members ?? [{ digest, offset: 0, size }];
}

async function openUploads(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  plans: ReadonlyMap<Digest, ObjectPlan>,
): Promise<{ needed: Map<Digest, UploadRecord>; fresh: Set<UploadId> }> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    nextStatus(pkg, 'register');
    const unproven = await findUnproven(tables, packageId, [...plans.values()]);
    const digests = unproven.map(({ digest }) => digest);
    const now = await tables.now();
    const live = await tables.uploads.findLive(packageId, digests);
    const stale = await findStale(tables, live, plans, now);
    await abortOpen(tables, caller, packageId, { only: stale.map(({ id }) => id), reason: REPLANNED });
    for (const { digest } of stale) live.delete(digest);
    const missing = unproven.filter(({ digest }) => !live.has(digest));
    const opened = missing.map(({ digest, size, stored, parts, members }) => {
      const id = newId('upl', now) as UploadId;
      return {
        id,
        package_id: packageId,
        channel: 'direct' as const,
        digest,
        size,
        key: blobKey(digest, id),
        created_by: caller.actor,
        created_at: now,
        expires_at: now + services.limits.upload_lifetime * 1_000,
        parts,
        members,
        stored,
      };
    });
    if (opened.length === 0) return { needed: live, fresh: new Set() };
    const bytes = opened.reduce((sum, { size }) => sum + size, 0);
    await tables.uploads.insert(opened);
    await recordChange(tables, caller, {
      at: now,
      action: 'upload.planned',
      package_id: packageId,
      detail: { uploads: opened.length, bytes },
    });
    return { needed: await tables.uploads.findLive(packageId, digests), fresh: new Set(opened.map(({ id }) => id)) };
  });
}

/** The objects that hold a blob whose bytes the package still needs. @throws StoreError object_not_registered */
async function findUnproven(tables: Tables, packageId: PackageId, plans: readonly ObjectPlan[]): Promise<ObjectPlan[]> {
  const wanted = await tables.files.wantedBy(packageId, plans.flatMap(contentsOf));
  for (const plan of plans) {
    const stranger = contentsOf(plan).find(({ digest }) => !wanted.has(digest));
    if (!stranger) continue;
    const which = plan.members === null ? '' : ` It is a member of the pack ${plan.digest}.`;
    throw new StoreError(
      'object_not_registered',
      `No file of ${packageId} has the digest ${stranger.digest} and ${stranger.size} bytes: register the file first.${which}`,
      { digest: stranger.digest },
    );
  }
  return plans.filter((plan) => contentsOf(plan).some(({ digest }) => wanted.get(digest)?.proven === false));
}

/** Open uploads that must not be handed out again: expired, or of another size, form, other parts or members than planned now. */
async function findStale(
  tables: Tables,
  live: ReadonlyMap<Digest, UploadRecord>,
  plans: ReadonlyMap<Digest, ObjectPlan>,
  now: number,
): Promise<UploadRecord[]> {
  const open = [...live.values()].filter((upload) => upload.state === 'open');
  if (open.length === 0) return [];
  const ids = open.map((upload) => upload.id);
  const parts = await tables.uploads.parts(ids);
  const members = await tables.uploads.members(ids);
  const frames = await tables.uploads.frames(ids);
  return open.filter((upload) => {
    const wanted = plans.get(upload.digest);
    if (upload.expires_at <= now || wanted?.size !== upload.size) return true;
    if ((wanted.stored?.digest ?? null) !== upload.stored_digest) return true;
    if (!sameBytes(wanted.stored?.frames, frames.get(upload.id))) return true;
    if (!sameBlobs(wanted.members ?? [], members.get(upload.id) ?? [])) return true;
    // Who lists no parts takes those that stand.
    return wanted.partsGiven && !sameBlobs(wanted.parts, parts.get(upload.id) ?? []);
  });
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

type SizedDigest = { digest: Digest; size: number };

function sameBlobs(a: readonly SizedDigest[], b: readonly SizedDigest[]): boolean {
  return a.length === b.length && a.every(({ digest, size }, i) => digest === b[i]?.digest && size === b[i]?.size);
}

/**
 * What storage calls these uploads, telling it first of those that it does not know. The row is there before: a crash in
 * between leaves an upload on a key whose row has another name or none, which is how the sweep can tell.
 * @returns without those that have ended before they had a name
 */
export async function nameInStorage(
  services: Services,
  uploads: readonly UploadRecord[],
): Promise<Map<UploadId, UploadHandle>> {
  const table = services.registry.read.uploads;
  const unnamed = uploads.filter((upload) => upload.storage_upload_id === null);
  const mine = await mapLimit(unnamed, STORAGE_CONCURRENCY, async ({ id, key }) => ({
    id,
    key: key as ObjectKey,
    storageUploadId: await services.blobs.createUpload(key as ObjectKey, id),
  }));
  await table.setStorageIds(mine);
  // Another planner may have been first, or the upload has ended: what the registry says counts.
  const known = unnamed.length === 0 ? uploads : await table.getMany(uploads.map((upload) => upload.id));
  await abortSurplus(services, mine, known);
  const named = known.filter((upload) => upload.storage_upload_id !== null);
  return new Map(named.map((upload) => [upload.id, handleOf(upload)]));
}

/** Ends what was begun in storage in vain: nobody was given it, and it was never completed. */
async function abortSurplus(
  services: Services,
  begun: readonly UploadHandle[],
  known: readonly UploadRecord[],
): Promise<void> {
  const names = new Map(known.map((upload) => [upload.id, upload.storage_upload_id]));
  const surplus = begun.filter(({ id, storageUploadId }) => names.get(id) !== storageUploadId);
  await mapLimit(surplus, STORAGE_CONCURRENCY, async (upload) => {
    await services.blobs.abortUpload(upload).catch((err) => {
      services.log.warn(
        { upload: upload.id, err },
        'an upload stays in storage that no row names: it is for the sweep',
      );
    });
  });
}

/** @throws Error when storage has not named the upload yet */
export function handleOf(upload: UploadRecord): UploadHandle {
  if (upload.storage_upload_id === null) throw new Error(`upload ${upload.id} has no name in storage`);
  return { id: upload.id, key: upload.key as ObjectKey, storageUploadId: upload.storage_upload_id };
}

async function urlExpiry(services: Services): Promise<number> {
  return (await services.registry.read.now()) + services.limits.url_lifetime * 1_000;
}

async function receivedParts(
  services: Services,
  upload: UploadRecord,
  handle: UploadHandle,
  parts: readonly PlannedPart[],
): Promise<Set<number>> {
  // Completion has begun, so all of them were there.
  const arrived = upload.state === 'open' ? await services.blobs.listParts(handle) : parts;
  return new Set(arrived.map((part) => part.number));
}

async function signParts(
  services: Services,
  handle: UploadHandle,
  parts: readonly PlannedPart[],
  received: ReadonlySet<number>,
  expiresAt: number,
): Promise<PartRequest[]> {
  const requests: PartRequest[] = [];
  for (const [index, part] of parts.entries()) {
    // A signature waits for nothing but the processor: others get their turn between.
    if (index > 0 && index % SIGNED_A_TURN === 0) await nextTurn();
    const request = await services.blobs.signPart(handle, part, expiresAt);
    requests.push({ ...part, received: received.has(part.number), request });
  }
  return requests;
}
