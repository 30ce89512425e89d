import { manifestKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services } from './services.ts';

/** What was being read when the damage was found. */
export interface Subject {
  /** For messages. */
  label: string;
  /** Null when an object was read by its signed URL. */
  packageId: PackageId | null;
  /** Null for the manifest and for objects. */
  path: string | null;
  /** Null for the manifest. */
  objectId: string | null;
}

/** Stored bytes that are not what the registry says. */
export interface Damage {
  expected: Digest;
  /** Null: they could not be read to their end. */
  actual: Digest | null;
  /** A sentence. */
  detail: string;
}

/**
 * Logs, counts and audits damage that a read has found. Its object is read next by a fixity check, which says whether the bytes are wrong
 * and which: one read may have gone wrong on the way. If the registry cannot be written, the answer is the same.
 * @returns the error to answer with
 */
export async function reportDamage(
  services: Services,
  caller: Caller,
  { packageId, path, objectId }: Subject,
  { expected, actual, detail }: Damage,
): Promise<StoreError> {
  const digests = { expected_digest: expected, actual_digest: actual };
  services.meters.damaged();
  services.log.error(
    { package_id: packageId, path, object_id: objectId, ...digests, detail },
    'stored bytes are damaged',
  );
  try {
    await services.registry.transaction(async (tables) => {
      await recordChange(tables, caller, {
        at: await tables.now(),
        action: 'object.damaged',
        package_id: packageId,
        subject_id: objectId,
        detail: { path, ...digests, seen: detail },
      });
      if (objectId !== null) await tables.checks.suspect({ id: objectId });
      else if (packageId !== null && path === null) await tables.checks.suspect({ key: manifestKey(packageId) });
    });
  } catch (error) {
    services.log.error({ err: error, package_id: packageId }, 'the damage could not be written to the registry');
  }
  return new StoreError('integrity_failure', detail, {
    ...(path === null ? {} : { path }),
    ...(objectId === null ? {} : { object_id: objectId }),
    expected_digest: expected,
    ...(actual === null ? {} : { actual_digest: actual }),
  });
}
