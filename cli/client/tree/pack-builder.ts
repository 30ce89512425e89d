import { hash } from 'node:crypto';
import { type Digest, digestOf } from '../../../src/core/digest.ts';
import type { Limits } from '../../../src/core/limits.ts';
import {
  layoutPack,
  MEMBER_HEADER_SIZE,
  PACK_END_SIZE,
  type PackMember,
  sizeInPack,
  writeMemberHeader,
} from '../../../src/core/pack.ts';
import { cut } from '../concurrency.ts';
import type { FoundSecret } from '../secrets/find-secrets.ts';
import { type FileBatch, filesOf } from './file-batch.ts';
import { RAW_DIGEST_SIZE } from './file-list.ts';
import { type ReadFailure, readFull, readUnchanged } from './read-whole.ts';

type PackLimits = Pick<Limits, 'pack_member_max' | 'pack_members_max' | 'pack_target'>;

/** Files that become one pack, and the memory in which it is built. */
export interface PackJob {
  files: FileBatch;
  memory: SharedArrayBuffer;
  /** Whether the files are looked through for secrets. */
  scan: boolean;
}

export type PackOutcome =
  | {
      ok: true;
      /** Of the files, 32 bytes each, in their order. */
      digests: Uint8Array<ArrayBuffer>;
      /** Of the pack of them all; a digest that comes twice is in it once. */
      digest: Digest;
      /** Of the files that have any, by their places. */
      secrets: Array<[place: number, FoundSecret[]]>;
    }
  | (ReadFailure & { file: number });

/** Memory that the largest pack needs. */
export function packMemory(limits: PackLimits): number {
  return Math.max(limits.pack_target, sizeInPack(limits.pack_member_max) + PACK_END_SIZE);
}

/** Lists of files, in their order, that fit a pack each, whatever turns out to be in them. */
export function cutPacks<T>(files: Iterable<T>, sizeOf: (file: T) => number, limits: PackLimits): Generator<T[]> {
  const most = { items: limits.pack_members_max, bytes: limits.pack_target - PACK_END_SIZE };
  return cut(files, most, (file) => ({ items: 1, bytes: sizeInPack(sizeOf(file)) }));
}

/**
 * Reads each file once, straight to where it stands in the pack, and hashes those very bytes: what is sent is what was
 * hashed, whatever happens to the files. Synchronous: for threads, or for a few files.
 * @param suspect is shown each file's bytes; what it finds is to be looked through by whoever asks
 */
export function buildPack(
  { files, memory }: Pick<PackJob, 'files' | 'memory'>,
  count: (bytes: number) => void,
  suspect: (place: number, content: Buffer) => void = () => {},
): PackOutcome {
  const pack = Buffer.from(memory);
  const digests = Buffer.alloc(files.ends.length * RAW_DIGEST_SIZE);
  const seen = new Set<string>();
  let [index, end] = [0, 0];
  for (const file of filesOf(files)) {
    const size = Number(file.identity.size);
    const at = end + MEMBER_HEADER_SIZE;
    const read = readUnchanged(file, (fd) => (readFull(fd, pack, at, size) ? true : null));
    if (read !== true) return { ...read, file: index };
    count(size);
    const content = pack.subarray(at, at + size);
    suspect(index, content);
    const hex = hash('sha256', content, 'hex');
    digests.write(hex, index * RAW_DIGEST_SIZE, 'hex');
    index += 1;
    if (seen.has(hex)) continue;
    seen.add(hex);
    end = frameMember(pack, end, `sha256:${hex}` as Digest, size);
  }
  const size = endPack(pack, end);
  return { ok: true, digests, digest: digestOf(pack.subarray(0, size)), secrets: [] };
}

/** Moves some members of a pack together, over the others. @param members in their order */
export function compactPack(
  pack: Buffer,
  members: readonly PackMember[],
): { digest: Digest; size: number; members: PackMember[] } {
  let end = 0;
  for (const { digest, offset, size } of members) {
    pack.copyWithin(end + MEMBER_HEADER_SIZE, offset, offset + size);
    end = frameMember(pack, end, digest, size);
  }
  const size = endPack(pack, end);
  return { digest: digestOf(pack.subarray(0, size)), size, members: layoutPack(members).members };
}

/** What surrounds a member's bytes, which are there. @returns where the next one begins */
function frameMember(pack: Buffer, at: number, digest: Digest, size: number): number {
  const next = at + sizeInPack(size);
  writeMemberHeader(pack, at, digest, size);
  pack.fill(0, at + MEMBER_HEADER_SIZE + size, next);
  return next;
}

function endPack(pack: Buffer, at: number): number {
  const size = at + PACK_END_SIZE;
  pack.fill(0, at, size);
  return size;
}
