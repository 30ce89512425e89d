import type { Digest } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { Wanted } from '../registry/file-proofs.ts';
import type { Tables } from '../registry/registry.ts';
import { provesBytes } from './access.ts';
import type { Caller } from './services.ts';

/**
 * Which of these bytes need not be sent: the caller has a right to them (invariant 7), and until the transaction ends nothing lets go
 * of what they are read from (invariant 6). With the lock of the package. @returns digest → size
 */
export async function knownBytes(
  tables: Tables,
  caller: Caller,
  packageId: PackageId,
  wanted: readonly Wanted[],
): Promise<Map<Digest, number>> {
  const provable = await tables.files.provableBy(provesBytes(caller), packageId, wanted);
  if (provable.size === 0) return provable;
  const blobs = [...provable].map(([digest, size]) => ({ digest, size }));
  const kept = await tables.blobs.retain(blobs, await tables.now());
  return new Map([...provable].filter(([digest]) => kept.has(digest)));
}
