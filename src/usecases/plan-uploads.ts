import type { UploadHandle } from '../blobs/blob-store.ts';
import { blobKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type PackageId, type UploadId } from '../core/ids.ts';
import { nextStatus } from '../core/package-state.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import { assertUploadsFit } from '../core/quotas.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortOpen } from './abort-upload.ts';
import { lockPackage } from './access.ts';
import { mapLimit } from './map-limit.ts';
import { closed, nameInStorage } from './name-in-storage.ts';
import { checkObjects, contentsOf, isReadBack, type ObjectInput, type ObjectPlan } from './object-plan.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithUploads } from './services.ts';
import { type PartRequest, receivedParts, signParts, urlExpiry } from './sign-parts.ts';

export interface PlannedUpload {
  digest: Digest;
  /** Null: nothing to send. */
  upload: { id: UploadId; parts: PartRequest[] } | null;
}

/** Why an upload that stands is not given back, in the audit. */
const REPLANNED = 'It had expired, or was planned with another size, encoding, other parts or other members.';
const LOST = 'Storage no longer has it: it was removed there, or the registry is from a backup.';

/** How many uploads are looked at in storage at once. */
const STORAGE_CONCURRENCY = 16;
const NONE: ReadonlySet<number> = new Set();

/**
 * Opens an upload for each object that holds what files of the package still need: a blob, or a pack of them. Planning a
 * digest again gives its open upload back, with the parts that have arrived marked: that is how a client resumes.
 * @throws StoreError object_not_registered, parts_required, invalid_parts, invalid_pack, invalid_frames, package_sealed, too_many_uploads, …
 */
export async function planUploads(
  services: Services<WithUploads>,
  caller: Caller,
  packageId: PackageId,
  inputs: readonly ObjectInput[],
): Promise<PlannedUpload[]> {
  const plans = checkObjects(inputs, services.limits);
  return handOut(services, caller, packageId, inputs, async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    nextStatus(pkg, 'register');
    const unproven = await findUnproven(tables, packageId, [...plans.values()]);
    return openUploads(services, tables, caller, packageId, unproven);
  });
}

/** Uploads of the objects that are needed, and which of them were opened now. */
export interface Opened {
  needed: Map<Digest, UploadRecord>;
  fresh: Set<UploadId>;
}

/**
 * Opens uploads, names them in storage and signs their parts. Those that storage has lost are given up, and opened again.
 * @param open in a transaction; it may be called twice @returns of each object its upload, if it is needed
 */
export async function handOut(
  services: Services<WithUploads>,
  caller: Caller,
  packageId: PackageId | null,
  inputs: readonly ObjectInput[],
  open: (tables: Tables) => Promise<Opened>,
): Promise<PlannedUpload[]> {
  let found = await lookAt(services, await services.registry.transaction(open));
  if (found.lost.length > 0) {
    const only = found.lost;
    await services.registry.transaction((tables) => abortOpen(tables, caller, packageId, { only, reason: LOST }));
    found = await lookAt(services, await services.registry.transaction(open));
  }
  const { needed, inStorage } = found;
  for (const upload of needed.values()) if (isReadBack(upload)) services.checker.expect(upload.size);
  const expiresAt = await urlExpiry(services);
  return mapLimit(inputs, STORAGE_CONCURRENCY, async ({ digest }) => {
    const upload = needed.get(digest);
    const there = upload && inStorage.get(upload.id);
    if (!upload || !there) return { digest, upload: null };
    const { handle, parts, received } = there;
    return { digest, upload: { id: upload.id, parts: await signParts(services, handle, parts, received, expiresAt) } };
  });
}

interface InStorage {
  handle: UploadHandle;
  /** As planned. */
  parts: readonly PlannedPart[];
  /** Numbers of those that have arrived. */
  received: ReadonlySet<number>;
}

/** Names uploads in storage, and asks it for their parts. @returns `lost`: open ones that it does not know @throws StoreError upload_closed */
async function lookAt(
  services: Services<WithUploads>,
  { needed, fresh }: Opened,
): Promise<{ needed: Opened['needed']; inStorage: Map<UploadId, InStorage>; lost: UploadId[] }> {
  const handles = await nameInStorage(services, [...needed.values()]);
  for (const upload of needed.values()) if (!handles.has(upload.id)) throw closed(upload.id);
  const parts = await services.registry.read.uploads.parts([...handles.keys()]);
  const inStorage = new Map<UploadId, InStorage>();
  const lost: UploadId[] = [];
  await mapLimit([...needed.values()], STORAGE_CONCURRENCY, async (upload) => {
    const handle = handles.get(upload.id) as UploadHandle;
    const planned = parts.get(upload.id) ?? [];
    // What was opened a moment ago cannot have received anything: no need to ask storage.
    const received = fresh.has(upload.id) ? NONE : await receivedParts(services, upload, handle, planned);
    // Lost, or just completed by somebody else: the registry decides, and one that is handed out all the same says so itself.
    if (received === null) lost.push(upload.id);
    inStorage.set(upload.id, { handle, parts: planned, received: received ?? NONE });
  });
  return { needed, inStorage, lost };
}

/** In the transaction. @param packageId null: they belong to none @param wanted whose bytes are to be sent */
export async function openUploads(
  { limits, quotas }: Services,
  tables: Tables,
  caller: Caller,
  packageId: PackageId | null,
  wanted: readonly ObjectPlan[],
): Promise<Opened> {
  const digests = wanted.map(({ digest }) => digest);
  const now = await tables.now();
  const live = await tables.uploads.findLive(packageId, digests);
  const stale = await findStale(tables, live, new Map(wanted.map((plan) => [plan.digest, plan])), now);
  await abortOpen(tables, caller, packageId, { only: stale.map(({ id }) => id), reason: REPLANNED });
  for (const { digest } of stale) live.delete(digest);
  const missing = wanted.filter(({ digest }) => !live.has(digest));
  if (packageId !== null && missing.length > 0) {
    const open = await tables.uploads.countLive(packageId, quotas.uploads_per_package);
    assertUploadsFit(quotas, packageId, open, missing.length);
  }
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
      expires_at: now + limits.upload_lifetime * 1_000,
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
}

/** The objects that hold a blob whose bytes the package still needs. @throws StoreError object_not_registered */
async function findUnproven(
  tables: ReadTables,
  packageId: PackageId,
  plans: readonly ObjectPlan[],
): Promise<ObjectPlan[]> {
  const notMissing = await tables.files.notMissing(packageId, plans.flatMap(contentsOf));
  for (const plan of plans) {
    const stranger = contentsOf(plan).find(({ digest }) => notMissing.get(digest) === 'unknown');
    if (!stranger) continue;
    const which = plan.members === null ? '' : ` It is a member of the pack ${plan.digest}.`;
    throw new StoreError(
      'object_not_registered',
      `No file of ${packageId} has the digest ${stranger.digest} and ${stranger.size} bytes: register the file first.${which}`,
      { digest: stranger.digest },
    );
  }
  return plans.filter((plan) => contentsOf(plan).some(({ digest }) => !notMissing.has(digest)));
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
