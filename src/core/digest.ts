import { hash } from 'node:crypto';
import { StoreError } from './errors.ts';

/** `sha256:` and 64 lower-case hex digits. Parsed once, at the boundary; everything inside trusts the type. */
export type Digest = string & { readonly __brand: 'Digest' };

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const PREFIX_LENGTH = 'sha256:'.length;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** @throws StoreError invalid_digest */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new StoreError(
    'invalid_digest',
    `${JSON.stringify(text.slice(0, 100))} is not a digest: write sha256: and 64 lower-case hex digits.`,
    { digest: text.slice(0, 100) },
  );
}

/** The 64 hex digits alone. */
export function digestHex(digest: Digest): string {
  return digest.slice(PREFIX_LENGTH);
}

export function digestFromHex(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}

/** The 32 raw bytes that the registry keeps. */
export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digestHex(digest), 'hex');
}

export function digestFromBytes(raw: Uint8Array): Digest {
  if (raw.length !== 32) throw new RangeError(`a SHA-256 digest has 32 bytes, not ${raw.length}`);
  return `sha256:${Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('hex')}` as Digest;
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}` as Digest;
}

/** The digest of no bytes at all: the empty file needs no location. */
export const EMPTY_DIGEST = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Digest;

const REPR_DIGEST_MEMBER = /^[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):(?:;[^,"]*)?[ \t]*$/;

/**
 * Repr-Digest (RFC 9530): a structured-field dictionary of byte sequences, of which only `sha-256` is ours. Null when it has
 * none, has it twice, is no such dictionary, or writes the digest otherwise than `formatReprDigest`.
 */
export function parseReprDigest(header: string): Digest | null {
  const members = header.split(',').map((member) => REPR_DIGEST_MEMBER.exec(member));
  if (members.includes(null)) return null;
  const [found, ...others] = members.filter((member) => member?.[1] === 'sha-256');
  const bytes = Buffer.from(found?.[2] ?? '', 'base64');
  if (others.length > 0 || bytes.length !== 32 || bytes.toString('base64') !== found?.[2]) return null;
  return digestFromBytes(bytes);
}

export function formatReprDigest(digest: Digest): string {
  return `sha-256=:${digestToBytes(digest).toString('base64')}:`;
}
