import { blobKey } from '../blobs/key-layout.ts';
import type { Spooled } from '../blobs/spool.ts';
import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type PackageId, type UploadId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { partCutter } from '../core/part-cutter.ts';
import { type PlannedPart, partSizeFor } from '../core/part-plan.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { UploadRecord } from '../registry/uploads.ts';
import { abortUpload } from './abort-upload.ts';
import { lockPackage, readPackage } from './access.ts';
import { claimForCompletion, type OnRecord, runCompletion } from './complete-upload.ts';
import { mapLimit } from './map-limit.ts';
import { handleOf, nameInStorage } from './plan-uploads.ts';
import { type NewFile, putFiles } from './register-files.ts';
import type { Caller, Services } from './services.ts';

export interface PutFileInput {
  path: LogicalPath;
  media_type?: string | undefined;
  /** Checked against the bytes, when given. */
  digest?: Digest | undefined;
  replace: boolean;
  /** Bytes that will come, where the sender tells. */
  size?: number | undefined;
}

/** An upload of the service's own ends within the request; one that a crash left open is aborted after this. */
const SERVICE_UPLOAD_LIFETIME_MS = 3_600_000;
/** Slower than this, bytes per ms, delivering a large object is given up. */
const SLOWEST_DELIVERY = 1_000;
/** Parts of one object that are delivered at the same time. */
const DELIVERIES = 4;

/**
 * Takes a file's bytes through the service: spools and hashes them, then stores and proves them like any upload. The
 * file is registered only by the transaction that proves it, so a request that fails leaves the package as it was.
 * @throws StoreError duplicate_path, path_conflict, digest_mismatch, no_space, package_sealed, …
 */
export async function putFile(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  input: PutFileInput,
  body: AsyncIterable<Uint8Array>,
): Promise<FileRecord> {
  const pkg = await readPackage(services.registry.read, caller, packageId);
  nextStatus(pkg, 'register');
  const { spooled, parts } = await spool(services, input, body);
  try {
    if (input.digest !== undefined && input.digest !== spooled.digest) {
      throw new StoreError(
        'digest_mismatch',
        `The bytes sent have the digest ${spooled.digest}, not ${input.digest}.`,
        {
          path: input.path,
          digest: input.digest,
          expected_digest: input.digest,
          actual_digest: spooled.digest,
        },
      );
    }
    return (
      (await registerKnown(services, caller, packageId, input, spooled)) ??
      (await store(services, caller, pkg, input, spooled, parts))
    );
  } finally {
    await spooled.discard();
  }
}

/**
 * Takes the body in and cuts it, in one pass: what is planned as parts is what was hashed. A body of unknown length is cut
 * by the smallest part size, which bounds how long it may be.
 */
async function spool(
  { blobs, limits, spool }: Services,
  { size }: PutFileInput,
  body: AsyncIterable<Uint8Array>,
): Promise<{ spooled: Spooled; parts: PlannedPart[] }> {
  const partSize = size === undefined ? limits.part_size : partSizeFor(size, limits);
  const cut = blobs.delivery === 'parts' && partSize !== size;
  const cutter = cut ? partCutter(partSize) : null;
  const maxSize = cut ? Math.min(limits.object_size_max, partSize * limits.max_parts) : limits.object_size_max;
  if (size !== undefined && size > maxSize) {
    throw new StoreError('body_too_large', `The body has ${size} bytes; at most ${maxSize} are taken.`);
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
  spooled: Spooled,
): Promise<FileRecord | null> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    const known = await tables.files.provableBy(caller.reads, packageId, [spooled]);
    const proven = spooled.digest === EMPTY_DIGEST || known.has(spooled.digest);
    if (proven) return (await putFiles(tables, caller, pkg, [fileOf(input, spooled)], () => input.replace))[0] ?? null;
    // The rules of paths, before the bytes are moved anywhere; they are asked again when the file is recorded.
    const old = (await tables.files.atPaths(packageId, [input.path])).get(input.path);
    const conflict = old ? null : await tables.files.findConflict(packageId, [input.path]);
    if (conflict || (old && !input.replace && old.digest !== spooled.digest)) {
      await putFiles(tables, caller, pkg, [fileOf(input, spooled)], () => input.replace);
    }
    return null;
  });
}

async function store(
  services: Services,
  caller: Caller,
  pkg: PackageRecord,
  input: PutFileInput,
  spooled: Spooled,
  parts: readonly PlannedPart[],
): Promise<FileRecord> {
  const uploadId = await services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const id = newId('upl', now) as UploadId;
    await tables.uploads.insert([
      {
        id,
        package_id: pkg.id,
        channel: 'service',
        digest: spooled.digest,
        size: spooled.size,
        key: blobKey(spooled.digest, id),
        created_by: caller.actor,
        created_at: now,
        expires_at: now + SERVICE_UPLOAD_LIFETIME_MS + Math.ceil(spooled.size / SLOWEST_DELIVERY),
        parts,
        members: null,
      },
    ]);
    return id;
  });
  const upload = await deliver(services, caller, pkg.id, uploadId, parts, input, spooled);
  let file: FileRecord | undefined;
  const onRecord: OnRecord = async (tables) => {
    const locked = await lockPackage(tables, caller, pkg.id);
    [file] = await putFiles(tables, caller, locked, [fileOf(input, spooled)], () => input.replace);
  };
  await runCompletion(services, caller, upload, parts, { onRecord });
  if (!file) throw new Error(`${input.path} was recorded without a file`);
  return file;
}

/** Hands the bytes to storage and claims the upload; what fails here leaves none of them. @returns the upload, claimed */
async function deliver(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  uploadId: UploadId,
  parts: readonly PlannedPart[],
  input: PutFileInput,
  spooled: Spooled,
): Promise<UploadRecord> {
  try {
    const opened = await services.registry.read.uploads.get(uploadId);
    if (!opened) throw new Error(`upload ${uploadId} is not there after its insert`);
    await nameInStorage(services, [opened]);
    const upload = await services.registry.read.uploads.get(uploadId);
    if (!upload) throw new Error(`upload ${uploadId} has vanished`);
    await mapLimit(parts, DELIVERIES, (part) => services.blobs.deliverPart(handleOf(upload), part, spooled.file));
    if (await claimForCompletion(services, uploadId)) return { ...upload, owner: services.instance };
    throw new StoreError('unavailable', `The upload of ${JSON.stringify(input.path)} took too long: send it again.`, {
      path: input.path,
    });
  } catch (error) {
    await abortUpload(services, caller, uploadId).catch((err) => {
      services.log.warn({ upload: uploadId, err }, 'the upload stays until it expires');
    });
    // Finalized, failed or deleted meanwhile: that ended the upload, and that is what the caller must know.
    nextStatus(await readPackage(services.registry.read, caller, packageId), 'register');
    throw error;
  }
}

function fileOf(input: PutFileInput, spooled: Spooled): NewFile {
  return {
    path: input.path,
    digest: spooled.digest,
    size: spooled.size,
    media_type: input.media_type,
    proven: true,
  };
}
