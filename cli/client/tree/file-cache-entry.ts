import { crc32 } from 'node:zlib';
import { digestFromBytes, digestToBytes } from '../../../src/core/digest.ts';
import { type FilePart, IDENTITY_SIZE, RAW_DIGEST_SIZE } from './file-list.ts';

/** What the cache tells of a file. */
export interface KnownFile {
  digest: Buffer;
  parts: FilePart[] | null;
}

const PART_SIZE = RAW_DIGEST_SIZE + 8;
const CHECKSUM_SIZE = 4;
const FIXED_SIZE = IDENTITY_SIZE + RAW_DIGEST_SIZE + CHECKSUM_SIZE;

/** Identity, digest, each part's digest and size, and a checksum over all of it and the path. */
export function encodeEntry(path: string, identity: Buffer, { digest, parts }: KnownFile): Buffer {
  const entry = Buffer.allocUnsafe(FIXED_SIZE + (parts?.length ?? 0) * PART_SIZE);
  identity.copy(entry, 0);
  digest.copy(entry, IDENTITY_SIZE);
  let at = IDENTITY_SIZE + RAW_DIGEST_SIZE;
  for (const part of parts ?? []) {
    digestToBytes(part.digest).copy(entry, at);
    entry.writeBigUInt64BE(BigInt(part.size), at + RAW_DIGEST_SIZE);
    at += PART_SIZE;
  }
  entry.writeUInt32BE(crc32(entry.subarray(0, at), crc32(path)), at);
  return entry;
}

/** @returns null when it is of another file than the one with this identity, or broken */
export function decodeEntry(path: string, identity: Buffer, entry: Buffer): KnownFile | null {
  const end = entry.length - CHECKSUM_SIZE;
  if (entry.length < FIXED_SIZE || identity.compare(entry, 0, IDENTITY_SIZE) !== 0) return null;
  if (entry.readUInt32BE(end) !== crc32(entry.subarray(0, end), crc32(path))) return null;
  const partsAt = IDENTITY_SIZE + RAW_DIGEST_SIZE;
  const parts: FilePart[] = [];
  for (let at = partsAt; at < end; at += PART_SIZE) {
    const digest = digestFromBytes(entry.subarray(at, at + RAW_DIGEST_SIZE));
    parts.push({ digest, size: Number(entry.readBigUInt64BE(at + RAW_DIGEST_SIZE)) });
  }
  return { digest: entry.subarray(IDENTITY_SIZE, partsAt), parts: parts.length === 0 ? null : parts };
}
