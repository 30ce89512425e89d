import type { UploadHandle } from '../blobs/blob-store.ts';
import type { Spooled } from '../blobs/spool.ts';
import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { partCutter } from '../core/part-cutter.ts';
import { type PlannedPart, partSizeFor } from '../core/part-plan.ts';
import { assertPackageFits, assertWithinQuota, byteQuota } from '../core/quotas.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage, readPackage } from './access.ts';
import { knownBytes } from './known-bytes.ts';
import { mapLimit } from './map-limit.ts';
import { conflictError, duplicateError, type NewFile, placeFiles } from './place-files.ts';
import type { Caller, Services, WithReader, WithUploads } from './services.ts';
import { type Delivery, storeObject } from './store-object.ts';

/** Slower than this, bytes per ms, delivering a large object is given up; what streams comes at the pace of its sender. */
const SLOWEST_DELIVERY = 1_000;
const SLOWEST_SENDER = 10;
/** As often it is looked whether a body of unknown length still fits. */
const LOOK_BYTES = 8 * 1024 ** 2;
/** Parts of one object that are delivered at the same time. */
const DELIVERIES = 4;

export interface PutFileInput {
  path: LogicalPath;
  media_type?: string | undefined;
  /** Checked against the bytes, when given. */
  digest?: Digest | undefined;
  replace: boolean;
  /** Bytes that will come, where the sender tells. */
  size?: number | undefined;
}

/** What a file holds. */
type Content = Pick<NewFile, 'digest' | 'size'>;

/**
 * Takes a file's bytes through the service, then stores and proves them like any upload. With a digest and a length
 * they are forwarded to storage as they arrive, if one part may be that large; otherwise they are spooled and hashed
 * first. The file is registered only by the transaction that proves it, so a request that fails leaves the package as
 * it was.
 * @throws StoreError duplicate_path, path_conflict, digest_mismatch, no_space, quota_exceeded, package_sealed, …
 */
export async function putFile(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  packageId: PackageId,
  input: PutFileInput,
  body: AsyncIterable<Uint8Array>,
): Promise<FileRecord> {
  const pkg = await readPackage(services.registry.read, caller, packageId);
  nextStatus(pkg, 'register');
  await assertRoom(services, pkg, input);
  const announced = announcedPart(services, input);
  if (announced !== null && (await needsBytes(services, caller, packageId, input, announced))) {
    return storeFile(services, caller, packageId, input, {
      ...announced,
      parts: [announced],
      slowest: SLOWEST_SENDER,
      bring: (upload) => stream(services, input, upload, announced, body),
    });
  }
  const { spooled, parts } = await spool(services, input, withinRoom(services, pkg, input, body));
  try {
    if (input.digest !== undefined && input.digest !== spooled.digest) {
      throw mismatch(input.path, input.digest, spooled.digest);
    }
    return (
      (await registerKnown(services, caller, packageId, input, spooled)) ??
      (await storeFile(services, caller, packageId, input, {
        ...spooled,
        parts,
        slowest: SLOWEST_DELIVERY,
        bring: (upload) =>
          mapLimit(parts, DELIVERIES, (part) => services.blobs.uploads.deliverPart(upload, part, spooled.file)),
      }))
    );
  } finally {
    await spooled.discard();
  }
}

/**
 * Before bytes are moved that would be refused in the end, where their sender says how many they are. Reserves nothing: that is done
 * when the file is recorded. @throws StoreError package_too_large, quota_exceeded
 */
async function assertRoom(
  { registry, quotas }: Services,
  pkg: PackageRecord,
  { path, size }: PutFileInput,
): Promise<void> {
  const isBounded = quotas.bytes_per_package !== null || byteQuota(quotas, pkg.producer) !== null;
  if (size === undefined || !isBounded) return;
  const old = await registry.read.files.get(pkg.id, path);
  const bytes = size - (old?.size ?? 0);
  assertPackageFits(quotas, pkg, { files: old === null ? 1 : 0, bytes });
  const usage = await registry.read.usage.get(pkg.producer);
  assertWithinQuota(quotas, { ...usage, reserved_bytes: usage.reserved_bytes + bytes }, bytes);
}

/** A body whose length nobody told: no more of it is taken than a little behind what fits. @throws StoreError as assertRoom */
async function* withinRoom(
  services: Services,
  pkg: PackageRecord,
  input: PutFileInput,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let [size, looked] = [0, 0];
  for await (const piece of body) {
    size += piece.length;
    if (input.size === undefined && size - looked > LOOK_BYTES) {
      looked = size;
      await assertRoom(services, pkg, { ...input, size });
    }
    yield piece;
  }
}

/**
 * The one part that the whole body is going to be, by what its sender says. Null: it is spooled, to know its parts, or because
 * the file in the spool becomes the object, so that nothing could be saved.
 */
function announcedPart({ blobs, limits }: Services<WithUploads>, { digest, size }: PutFileInput): PlannedPart | null {
  if (blobs.uploads.delivery === 'whole' || digest === undefined || digest === EMPTY_DIGEST) return null;
  if (size === undefined || size === 0 || size > limits.single_part_max) return null;
  return { number: 1, digest, offset: 0, size };
}

/** @throws StoreError digest_mismatch */
async function stream(
  { blobs }: Services<WithUploads>,
  { path }: PutFileInput,
  upload: UploadHandle,
  part: PlannedPart,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  try {
    await blobs.uploads.streamPart(upload, part, body);
  } catch (error) {
    if (!isStoreError(error, 'part_digest_mismatch')) throw error;
    throw mismatch(path, part.digest, error.extras.actual_digest as Digest | undefined, error);
  }
}

/** @param actual undefined when storage has refused the bytes and the service does not know what they were */
function mismatch(path: LogicalPath, expected: Digest, actual: Digest | undefined, cause?: unknown): StoreError {
  return new StoreError(
    'digest_mismatch',
    actual === undefined
      ? `The bytes sent do not have the digest ${expected}: storage refused them.`
      : `The bytes sent have the digest ${actual}, not ${expected}.`,
    {
      path,
      digest: expected,
      expected_digest: expected,
      ...(actual === undefined ? {} : { actual_digest: actual }),
    },
    { cause },
  );
}

/**
 * Receives the body and cuts it into parts, in one pass: the planned parts are exactly what was hashed. A body of
 * unknown length is cut by the smallest part size, which bounds how long it may be.
 */
async function spool(
  { blobs, limits, spool }: Services<WithUploads>,
  { size }: PutFileInput,
  body: AsyncIterable<Uint8Array>,
): Promise<{ spooled: Spooled; parts: PlannedPart[] }> {
  const partSize = size === undefined ? limits.part_size : partSizeFor(size, limits);
  const cut = blobs.uploads.delivery === 'parts' && partSize !== size;
  const cutter = cut ? partCutter(partSize) : null;
  const maxSize = cut ? Math.min(limits.object_size_max, partSize * limits.max_parts) : limits.object_size_max;
  if (size !== undefined && size > maxSize) {
    throw new StoreError('body_too_large', `The body has ${size} bytes; at most ${maxSize} are accepted.`);
  }
  const spooled = await spool.receive(body, { maxSize, ...(cutter && { onBytes: cutter.update }) });
  if (cutter !== null && spooled.size > limits.single_part_max) return { spooled, parts: cutter.end() };
  return { spooled, parts: [{ number: 1, digest: spooled.digest, offset: 0, size: spooled.size }] };
}

/** Bytes that the caller has a right to already need no second object. Null: they must be stored. */
async function registerKnown(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  input: PutFileInput,
  content: Content,
): Promise<FileRecord | null> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    if (await isKnown(tables, caller, packageId, content)) {
      return placeFile(services, tables, caller, pkg, input, content);
    }
    await checkPath(tables, pkg, input, content);
    return null;
  });
}

/** The same for bytes that are still to come: their digest alone registers nothing. */
async function needsBytes(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  input: PutFileInput,
  content: Content,
): Promise<boolean> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    await checkPath(tables, pkg, input, content);
    return !(await isKnown(tables, caller, packageId, content));
  });
}

async function isKnown(tables: Tables, caller: Caller, packageId: PackageId, content: Content): Promise<boolean> {
  if (content.digest === EMPTY_DIGEST) return true;
  return (await knownBytes(tables, caller, packageId, [content])).has(content.digest);
}

/** The rules of paths, before the bytes are moved anywhere; they are asked again when the file is recorded. */
async function checkPath(
  tables: ReadTables,
  pkg: PackageRecord,
  { path, replace }: PutFileInput,
  { digest }: Content,
): Promise<void> {
  nextStatus(pkg, 'register');
  const old = (await tables.files.atPaths(pkg.id, [path])).get(path);
  if (old && !replace && old.digest !== digest) throw duplicateError(old);
  const conflict = old ? null : await tables.files.findConflict(pkg.id, [path]);
  if (conflict) throw conflictError(conflict);
}

/** Stores the bytes, and registers the file in the transaction that proves them. */
async function storeFile(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  packageId: PackageId,
  input: PutFileInput,
  delivery: Omit<Delivery, 'path'>,
): Promise<FileRecord> {
  let file: FileRecord | null = null;
  await storeObject(services, caller, packageId, { ...delivery, path: input.path }, async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    file = await placeFile(services, tables, caller, pkg, input, delivery);
  });
  if (file === null) throw new Error(`${input.path} was recorded without a file`);
  return file;
}

/** In the transaction. @returns the file as it stands now */
async function placeFile(
  { quotas }: Services,
  tables: Tables,
  caller: Caller,
  pkg: PackageRecord,
  { path, media_type, replace }: PutFileInput,
  { digest, size }: Content,
): Promise<FileRecord> {
  const [file] = await placeFiles(
    tables,
    caller,
    quotas,
    pkg,
    [{ path, digest, size, media_type, proven: true }],
    () => replace,
  );
  return file as FileRecord;
}
