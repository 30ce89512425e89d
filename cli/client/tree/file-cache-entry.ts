import { crc32 } from 'node:zlib';
import { digestFromBytes, digestToBytes } from '../../../src/core/digest.ts';
import { type FoundSecret, RULES_VERSION } from '../secrets/find-secrets.ts';
import { type FilePart, IDENTITY_SIZE, RAW_DIGEST_SIZE } from './file-list.ts';

/** What the cache tells of a file. */
export interface KnownFile {
  digest: Buffer;
  parts: FilePart[] | null;
  /** Null: it was not looked through, or by other rules. */
  secrets: readonly FoundSecret[] | null;
}

const PART_SIZE = RAW_DIGEST_SIZE + 8;
/** The rules that looked through the file, none: 0; how many parts follow. */
const COUNTS_SIZE = 4;
const CHECKSUM_SIZE = 4;
const COUNTS_AT = IDENTITY_SIZE + RAW_DIGEST_SIZE;
const PARTS_AT = COUNTS_AT + COUNTS_SIZE;
const FIXED_SIZE = PARTS_AT + CHECKSUM_SIZE;

/** Identity, digest, each part's digest and size, the secrets as JSON, and a checksum over all of it and the path. */
export function encodeEntry(path: string, identity: Buffer, { digest, parts, secrets }: KnownFile): Buffer {
  const found = secrets === null || secrets.length === 0 ? '' : JSON.stringify(secrets);
  const partsSize = (parts?.length ?? 0) * PART_SIZE;
  const entry = Buffer.allocUnsafe(FIXED_SIZE + partsSize + Buffer.byteLength(found));
  identity.copy(entry, 0);
  digest.copy(entry, IDENTITY_SIZE);
  entry.writeUInt16BE(secrets === null ? 0 : RULES_VERSION, COUNTS_AT);
  entry.writeUInt16BE(parts?.length ?? 0, COUNTS_AT + 2);
  let at = PARTS_AT;
  for (const part of parts ?? []) {
    digestToBytes(part.digest).copy(entry, at);
    entry.writeBigUInt64BE(BigInt(part.size), at + RAW_DIGEST_SIZE);
    at += PART_SIZE;
  }
  at += entry.write(found, at);
  entry.writeUInt32BE(crc32(entry.subarray(0, at), crc32(path)), at);
  return entry;
}

/** @returns null when it is of another file than the one with this identity, or broken */
export function decodeEntry(path: string, identity: Buffer, entry: Buffer): KnownFile | null {
  const end = entry.length - CHECKSUM_SIZE;
  if (entry.length < FIXED_SIZE || identity.compare(entry, 0, IDENTITY_SIZE) !== 0) return null;
  if (entry.readUInt32BE(end) !== crc32(entry.subarray(0, end), crc32(path))) return null;
  const partsEnd = PARTS_AT + entry.readUInt16BE(COUNTS_AT + 2) * PART_SIZE;
  const parts: FilePart[] = [];
  for (let at = PARTS_AT; at < partsEnd; at += PART_SIZE) {
    const digest = digestFromBytes(entry.subarray(at, at + RAW_DIGEST_SIZE));
    parts.push({ digest, size: Number(entry.readBigUInt64BE(at + RAW_DIGEST_SIZE)) });
  }
  return {
    digest: entry.subarray(IDENTITY_SIZE, COUNTS_AT),
    parts: parts.length === 0 ? null : parts,
    secrets: entry.readUInt16BE(COUNTS_AT) === RULES_VERSION ? secretsOf(entry.subarray(partsEnd, end)) : null,
  };
}

function secretsOf(found: Buffer): FoundSecret[] {
  return found.length === 0 ? [] : (JSON.parse(found.toString()) as FoundSecret[]);
}
