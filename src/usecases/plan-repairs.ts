import { StoreError } from '../core/errors.ts';
import { checkObjects, contentsOf, type ObjectInput } from './object-plan.ts';
import { handOut, openUploads, type PlannedUpload } from './plan-uploads.ts';
import type { UploadRecord } from './records.ts';
import type { Caller, Services, WithUploads } from './services.ts';

/**
 * Opens an upload for each of these objects that holds bytes which a living package has and no object holds any more: they were
 * damaged, or are gone. It belongs to no package, is verified and recorded like any other, and heals every package that needs it.
 * For those who may read everything: the answer says what is missing (invariant 7).
 * @throws StoreError forbidden, parts_required, invalid_parts, …
 */
export async function planRepairs(
  services: Services<WithUploads>,
  caller: Caller,
  inputs: readonly ObjectInput[],
): Promise<PlannedUpload[]> {
  assertAll(caller);
  const plans = [...checkObjects(inputs, services.limits).values()];
  return handOut(services, caller, null, inputs, async (tables) => {
    const lost = await tables.blobs.lostAndNeeded(plans.flatMap(contentsOf));
    const needed = plans.filter((plan) => contentsOf(plan).some(({ digest }) => lost.has(digest)));
    return openUploads(services, tables, caller, null, needed);
  });
}

/** Uploads of repairs, the newest first. @throws StoreError forbidden */
export async function listRepairs({ registry }: Services, caller: Caller, limit: number): Promise<UploadRecord[]> {
  assertAll(caller);
  return registry.read.uploads.listOfNone(limit);
}

function assertAll({ reads }: Caller): void {
  if (!('all' in reads)) throw new StoreError('forbidden', 'Repairing needs the right to read everything.');
}
