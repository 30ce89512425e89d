import { type Digest, digestHex } from '../core/digest.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import { type Tile, tilePath } from '../core/tlog-tiles.ts';

/**
 * The one place that knows object keys. The whole tree:
 *
 *     objects/sha256/ab/cd/<64 hex>.<upload id>    a blob's bytes; a key per upload, never used again
 *     packages/<package id>/manifest.json          the manifest of a finalized package
 *     packages/<package id>/attestation.json       what the service signed of it (DSSE)
 *     packages/<package id>/decisions/<id>.json    a decision on how long it is kept: finalized, extended, held, released, deleted
 *     packages/<package id>/receipts/<id>.json     what the service signed of a deletion, by its decision (DSSE)
 *     keys/<64 hex>.pem                            a public key that the service signs with, by the hash of it
 *     log/checkpoints/<size, 16 digits>            what was signed of the audit's log when it had so many entries
 *     log/timestamps/<size, 16 digits>             what a time stamp authority has answered for that checkpoint (RFC 3161)
 *     log/tile/<level>/…, log/tile/entries/…       its tiles, as c2sp.org/tlog-tiles names them
 *     log/details/<64 hex>.json                    the detail of an event that is too long for an entry
 *     store.json                                   whose store it is: the id that its registry has too
 *     probe/<probe id>/<name>                      what a probe of the backend writes and removes again, or a later start
 *
 * Keys are lower-case ASCII, so that every file system and every S3 server keeps them apart.
 */
export type ObjectKey = string & { readonly __brand: 'ObjectKey' };

/** Which object holds a blob is said by the registry's object row, never by a key. */
export function blobKey(digest: Digest, uploadId: UploadId): ObjectKey {
  const hex = digestHex(digest);
  return `objects/sha256/${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}.${uploadId}` as ObjectKey;
}

export function manifestKey(packageId: PackageId): ObjectKey {
  return `packages/${packageId}/manifest.json` as ObjectKey;
}

export function attestationKey(packageId: PackageId): ObjectKey {
  return `packages/${packageId}/attestation.json` as ObjectKey;
}

/** @param id 64 hex digits */
export function publicKeyKey(id: string): ObjectKey {
  return `${KEYS_PREFIX}${id}.pem` as ObjectKey;
}

export function receiptKey(packageId: PackageId, decisionId: string): ObjectKey {
  return `packages/${packageId}/receipts/${decisionId}.json` as ObjectKey;
}

/** Of the keys of a package's decisions. */
export function decisionsPrefix(packageId: PackageId): string {
  return `packages/${packageId}/decisions/`;
}

export function decisionKey(packageId: PackageId, decisionId: string): ObjectKey {
  return `${decisionsPrefix(packageId)}${decisionId}.json` as ObjectKey;
}

/** What the keys of the audit's log begin with: no sweep looks there. */
export const LOG_PREFIX = 'log/';
export const CHECKPOINTS_PREFIX = `${LOG_PREFIX}checkpoints/`;

/** Sorts by size. */
export function checkpointKey(size: number): ObjectKey {
  return `${CHECKPOINTS_PREFIX}${String(size).padStart(16, '0')}` as ObjectKey;
}

/** Of the checkpoint of that size. */
export function timeStampKey(size: number): ObjectKey {
  return `${LOG_PREFIX}timestamps/${String(size).padStart(16, '0')}` as ObjectKey;
}

export function tileKey(tile: Tile): ObjectKey {
  return `${LOG_PREFIX}${tilePath(tile)}` as ObjectKey;
}

/** @param hex SHA-256 of its canonical JSON */
export function detailKey(hex: string): ObjectKey {
  return `${LOG_PREFIX}details/${hex}.json` as ObjectKey;
}

export const STORE_KEY = 'store.json' as ObjectKey;

/** What the keys of all objects of blobs begin with, and what those of packages do. */
export const OBJECTS_PREFIX = 'objects/';
export const PACKAGES_PREFIX = 'packages/';
/** What those of public keys begin with. */
export const KEYS_PREFIX = 'keys/';

/** What a key is of; null: no version of this software gives such a key. */
export type KeyOwner =
  | { kind: 'blob'; digest: Digest; uploadId: UploadId }
  | { kind: 'manifest'; packageId: PackageId }
  | { kind: 'attestation'; packageId: PackageId }
  | { kind: 'receipt'; packageId: PackageId; decisionId: string }
  | { kind: 'decision'; packageId: PackageId; decisionId: string }
  | null;

const BLOB_KEY = /^objects\/sha256\/(..)\/(..)\/(\1\2[0-9a-f]{60})\.(upl_[0-9a-f]{32})$/;
const PACKAGE_KEY =
  /^packages\/(pkg_[0-9a-f]{32})\/(?:(manifest|attestation)|(receipts|decisions)\/(evt_[0-9a-f]{32}))\.json$/;

export function ownerOf(key: ObjectKey): KeyOwner {
  const [, , , hex, uploadId] = BLOB_KEY.exec(key) ?? [];
  if (hex !== undefined) return { kind: 'blob', digest: `sha256:${hex}` as Digest, uploadId: uploadId as UploadId };
  const [, id, kind, folder, decisionId] = PACKAGE_KEY.exec(key) ?? [];
  if (id === undefined) return null;
  const packageId = id as PackageId;
  if (decisionId !== undefined) return { kind: folder === 'receipts' ? 'receipt' : 'decision', packageId, decisionId };
  return { kind: kind === 'attestation' ? 'attestation' : 'manifest', packageId };
}

/** What all keys of probes begin with, and no others. */
export const PROBE_PREFIX = 'probe/';

export function probeKey(probeId: string, name: string): ObjectKey {
  return parseKey(`${PROBE_PREFIX}${probeId}/${name}`);
}

const SEGMENT = /^[a-z0-9_-][a-z0-9._-]{0,199}$/;

/** A key or prefix that came from anywhere but this file. @throws RangeError */
export function parseKey(text: string): ObjectKey {
  if (text.length > 512 || !text.split('/').every((segment) => SEGMENT.test(segment))) {
    throw new RangeError(`${JSON.stringify(text.slice(0, 200))} is not an object key`);
  }
  return text as ObjectKey;
}
