import type { Readable } from 'node:stream';
import type { ByteRange, SignedRequest } from '../blobs/blob-store.ts';
import { attestationKey, manifestKey, type ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { type Encoding, FrameTable } from '../core/frame-table.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable, bytesFreed } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import type { ObjectRecord } from '../registry/object-record.ts';
import { readPackage } from './access.ts';
import { attest } from './attest.ts';
import { fileDeleted } from './file-deleted.ts';
import { openChecked, openRange, openUnchecked, type Stored } from './open-stored.ts';
import { reportDamage } from './report-damage.ts';
import { type Caller, type Services, SYSTEM, type WithDecisions, type WithReader } from './services.ts';
import { urlExpiry } from './sign-parts.ts';

/** Content that can be read. */
export interface Readability {
  digest: Digest;
  size: number;
  /** All of it. Files and manifests are checked (see openChecked); objects are given as storage has them. */
  openWhole(): Promise<Buffer | Readable>;
  /** A range inside it, as storage has it. */
  openRange(range: ByteRange): Promise<Readable>;
}

export interface ReadableFile extends Readability {
  file: FileRecord;
  /** A signed request for the whole file, straight from storage; null when there is nothing to fetch. */
  sign(): Promise<SignedRequest | null>;
}

/** @throws StoreError file_not_found, files_missing (registered, but its bytes are not here), package_failed, package_deleted, file_deleted */
export async function readFile(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
  path: LogicalPath,
): Promise<ReadableFile> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, packageId);
  assertReadable(pkg);
  const file = await tables.files.get(packageId, path);
  if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
  if (file.deleted_at !== null) throw await fileDeleted(tables, packageId, path);
  if (!file.proven) {
    throw new StoreError('files_missing', `The bytes of ${JSON.stringify(path)} have not been uploaded yet.`, {
      path,
      paths: [path],
    });
  }
  const { digest, size } = file;
  const subject = { label: JSON.stringify(path), packageId, path, objectId: null };

  /** By the digest that was promised: the path may name other bytes by now. */
  async function stored(): Promise<Stored> {
    const location = size === 0 ? NOWHERE : await tables.blobs.locate(digest);
    if (!location && pkg.status === 'failed') throw bytesFreed(pkg, path);
    if (!location) {
      const detail = `The store has no good bytes of ${subject.label}: they are damaged or gone, and there is no other copy.`;
      throw await reportDamage(services, caller, subject, { expected: digest, actual: null, detail });
    }
    const { key, version_id: versionId, object_id: objectId, offset } = location;
    const frames = await framesOf(services, objectId, location.encoding);
    return { key, versionId, digest, size, caller, place: { offset, size }, frames, subject: { ...subject, objectId } };
  }

  return {
    file,
    digest,
    size,
    openWhole: async () => openChecked(services, await stored()),
    openRange: async (range) => openRange(services, await stored(), range),
    async sign() {
      // Before it is known where the bytes are: what is condemned after that stays for as long.
      const expiresAt = await urlExpiry(services);
      const location = await tables.blobs.locate(digest);
      // Of lost bytes the service has more to say than storage; bytes amid an object need a Range header, which a redirect
      // cannot give; and nobody who follows one expects frames.
      const { state, encoding, offset, object_size } = location ?? {};
      if (!location || state !== 'live' || encoding !== 'identity' || offset !== 0 || object_size !== size) return null;
      const ref = { key: location.key as ObjectKey, versionId: location.version_id };
      return services.blobs.objects.signDownload(ref, { objectId: location.object_id, expiresAt });
    },
  };
}

/** The empty file's. */
const NOWHERE = { key: '', version_id: null, object_id: '', offset: 0, encoding: 'identity' } as const;

async function framesOf({ registry }: Services, objectId: string, encoding: Encoding): Promise<FrameTable | null> {
  if (encoding === 'identity') return null;
  const frames = (await registry.read.blobs.frames([objectId])).get(objectId);
  if (frames === undefined) throw new StoreError('integrity_failure', `Object ${objectId} has no frame table.`);
  return FrameTable.decode(frames);
}

/** The exact bytes of the manifest. @throws StoreError package_not_finalized, package_deleted */
export async function readManifest(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
): Promise<Readability> {
  const pkg = await readPackage(services.registry.read, caller, packageId);
  assertReadable(pkg);
  if (pkg.manifest_digest === null || pkg.manifest_size === null) {
    throw new StoreError(
      'package_not_finalized',
      `${packageId} is ${pkg.status}: it has a manifest once it is finalized.`,
    );
  }
  const key = manifestKey(packageId) as string;
  const versionId = (await services.registry.read.blobs.getObjectByKey(key))?.version_id ?? null;
  const { manifest_digest: digest, manifest_size: size } = pkg;
  const subject = { label: 'the manifest', packageId, path: null, objectId: null };
  const stored: Stored = { key, versionId, place: null, frames: null, digest, size, caller, subject };
  return {
    digest,
    size,
    openWhole: () => openChecked(services, stored),
    openRange: (range) => openRange(services, stored, range),
  };
}

/**
 * What the service has signed of a package: a DSSE envelope. One that has none yet gets it.
 * @throws StoreError package_not_finalized, package_deleted
 */
export async function readAttestation(
  services: Services<WithDecisions>,
  caller: Caller,
  packageId: PackageId,
): Promise<Readability> {
  const { read } = services.registry;
  const pkg = await readPackage(read, caller, packageId);
  assertReadable(pkg);
  if (pkg.status !== 'finalized') {
    throw new StoreError(
      'package_not_finalized',
      `${packageId} is ${pkg.status}: it has an attestation once it is finalized.`,
    );
  }
  await attest(services, packageId);
  const object = await read.blobs.getObjectByKey(attestationKey(packageId));
  if (object === null) throw new StoreError('integrity_failure', `${packageId} has no attestation.`);
  const { digest, size } = object;
  const subject = { label: 'the attestation', packageId, path: null, objectId: object.id };
  const stored: Stored = { ...base(object), caller, place: null, frames: null, digest, size, subject };
  return {
    digest,
    size,
    openWhole: () => openChecked(services, stored),
    openRange: (range) => openRange(services, stored, range),
  };
}

/** An object as it is stored, as a bucket would give it: for a signed URL of the whole. @throws StoreError object_not_found */
export async function readObject(services: Services<WithReader>, objectId: string): Promise<Readability> {
  const object = await objectOf(services, objectId);
  const { stored_size: size } = object;
  const digest = object.stored_digest ?? object.digest;
  // A place, so that no byte follows the announced ones.
  const stored: Stored = { ...base(object), place: { offset: 0, size }, frames: null, digest, size };
  return {
    digest,
    size,
    openWhole: () => openUnchecked(services, stored),
    openRange: (range) => openRange(services, stored, range),
  };
}

/** A range of an object's content, whatever form it is stored in: for a signed URL of one. @throws StoreError object_not_found */
export async function readObjectRange(
  services: Services<WithReader>,
  objectId: string,
  range: ByteRange,
): Promise<Readable> {
  const object = await objectOf(services, objectId);
  const { digest, size } = object;
  const frames = await framesOf(services, objectId, object.encoding);
  return openRange(services, { ...base(object), place: { offset: 0, size }, frames, digest, size }, range);
}

async function objectOf({ registry }: Services, objectId: string): Promise<ObjectRecord> {
  const object = await registry.read.blobs.getObject(objectId);
  if (!object) throw new StoreError('object_not_found', `There is no object ${objectId.slice(0, 100)}.`);
  return object;
}

/** The audit names the service: a signed URL does not say who reads. */
function base({ id, key, version_id: versionId }: ObjectRecord) {
  const subject = { label: `the object ${id}`, packageId: null, path: null, objectId: id };
  return { key, versionId, caller: SYSTEM, subject };
}
