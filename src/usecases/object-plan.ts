import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { checkFrameTable, FRAME_ENTRY_SIZE, FrameTable, type StoredForm } from '../core/frame-table.ts';
import type { Limits } from '../core/limits.ts';
import { checkMembers, type PackMember } from '../core/pack.ts';
import { checkParts, type PlannedPart, tooLarge } from '../core/part-plan.ts';
import { FrameError } from '../core/zstd-frame.ts';
import type { UploadRecord } from '../registry/upload-record.ts';

/** What a client says of an object that it wants to upload, and what of that is taken. Pure. */

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
export interface ObjectPlan {
  digest: Digest;
  size: number;
  stored: StoredForm | null;
  parts: PlannedPart[];
  /** The client listed them: they are not just what follows from the size. */
  partsGiven: boolean;
  members: PackMember[] | null;
}

/** @throws StoreError parts_required, invalid_parts, invalid_pack, invalid_frames, size_mismatch, invalid_request */
export function checkObjects(inputs: readonly ObjectInput[], limits: Limits): Map<Digest, ObjectPlan> {
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
      throw new StoreError('invalid_request', `${again} appears twice in the request.`, { digest: again });
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
  throw new StoreError('invalid_request', `The objects have ${count} ${what} together; plan at most ${most} per call.`);
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
