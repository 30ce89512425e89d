import { setImmediate as nextTurn } from 'node:timers/promises';
import { digestOf } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { cutPackFrames, type StoredForm } from '../core/frame-table.ts';
import { AUTO_LEVEL, FrameWriter, isWorth, PACK_FRAME_SIZE, seemsCompressible } from '../core/frame-writer.ts';
import { layoutPack, MEMBER_HEADER_SIZE, type PackMember, writeMemberHeader } from '../core/pack.ts';
import type { SparsePack } from '../registry/pack-members.ts';
import { readObjectRange } from './read-file.ts';
import { type Services, SYSTEM, type WithReader, type WithUploads } from './services.ts';
import { storeObject } from './store-object.ts';

/** A pack, and which of its members are wanted, in the order in which they stand. */
export interface PackSource {
  pack: SparsePack;
  members: readonly PackMember[];
}

/** Bytes per ms that storage takes at least. */
const SLOWEST_DELIVERY = 1_000;

/**
 * Makes one object of members of other packs, as a client would: read, hashed, packed, compressed should that be worth it, stored and
 * verified like any upload. The old packs keep what they have. In memory: one pack.
 * @returns bytes in storage @throws StoreError integrity_failure when a member is not what it was: nothing was written
 */
export async function writePack(
  services: Services<WithUploads & WithReader>,
  sources: readonly PackSource[],
): Promise<number> {
  const { members, content } = await collect(services, sources);
  const [only] = members;
  // A single blob is stored without a frame of tar around it.
  const alone = members.length === 1 && only !== undefined;
  const body = alone ? content.subarray(only.offset, only.offset + only.size) : content;
  const { form, stored } = await compressed(
    body,
    alone ? [body.length] : cutPackFrames(members, body.length, PACK_FRAME_SIZE),
  );
  const spooled = await services.spool.receive(pieces(stored));
  try {
    const part = { number: 1, digest: spooled.digest, offset: 0, size: spooled.size };
    await storeObject(services, SYSTEM, null, {
      digest: digestOf(body),
      size: body.length,
      parts: [part],
      slowest: SLOWEST_DELIVERY,
      bring: (upload) => services.blobs.uploads.deliverPart(upload, part, spooled.file),
      path: 'a pack that is written anew',
      ...(alone ? {} : { members }),
      stored: form,
    });
    return spooled.size;
  } finally {
    await spooled.discard();
  }
}

/** The wanted members of all sources, in a tar. */
async function collect(
  services: Services<WithReader>,
  sources: readonly PackSource[],
): Promise<{ members: PackMember[]; content: Buffer }> {
  const { members, size } = layoutPack(sources.flatMap((source) => source.members));
  const content = Buffer.alloc(size);
  let next = 0;
  for (const { pack, members: wanted } of sources) {
    for await (const bytes of readMembers(services, pack, wanted)) {
      const { digest, offset, size: length } = members[next] as PackMember;
      next += 1;
      if (digestOf(bytes) !== digest) throw damaged(pack, digest);
      writeMemberHeader(content, offset - MEMBER_HEADER_SIZE, digest, length);
      bytes.copy(content, offset);
    }
  }
  return { members, content };
}

/** Members one by one; the pack is read once, from the first of them to the last. */
async function* readMembers(
  services: Services<WithReader>,
  pack: SparsePack,
  members: readonly PackMember[],
): AsyncGenerator<Buffer> {
  const [first, last] = [members[0], members.at(-1)];
  if (first === undefined || last === undefined) return;
  const from = first.offset;
  const stream = await readObjectRange(services, pack.id, { offset: from, size: last.offset + last.size - from });
  let held: Buffer = Buffer.alloc(0);
  /** Where in the pack `held` begins. */
  let at = from;
  let next = 0;
  for await (const chunk of stream) {
    held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer]);
    for (let member = members[next]; member !== undefined && member.offset + member.size <= at + held.length; ) {
      yield held.subarray(member.offset - at, member.offset - at + member.size);
      next += 1;
      member = members[next];
    }
    const keep = members[next]?.offset ?? at + held.length;
    const passed = Math.max(0, Math.min(held.length, keep - at));
    held = held.subarray(passed);
    at += passed;
  }
  if (next < members.length) throw damaged(pack, (members[next] as PackMember).digest);
}

/** Frame by frame: between two of them others get their turn. */
async function compressed(
  content: Buffer,
  frames: readonly number[],
): Promise<{ form: StoredForm | null; stored: readonly Buffer[] }> {
  const asIs = { form: null, stored: [content] };
  const sample = (offset: number, size: number) => content.subarray(offset, offset + size);
  if (!seemsCompressible(content.length, AUTO_LEVEL, sample)) return asIs;
  const stored: Buffer[] = [];
  const writer = new FrameWriter(AUTO_LEVEL, (frame) => stored.push(frame));
  let at = 0;
  for (const size of frames) {
    writer.add(content.subarray(at, at + size));
    at += size;
    await nextTurn();
  }
  const form = writer.end();
  return isWorth(form, content.length) ? { form, stored } : asIs;
}

async function* pieces(buffers: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  yield* buffers;
}

function damaged({ id }: SparsePack, digest: string): StoreError {
  return new StoreError('integrity_failure', `${digest} in the pack ${id} is not what it was.`, { object_id: id });
}
