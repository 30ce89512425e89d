import { lockInStorage, lockMarked } from './lock-objects.ts';
import type { Services, WithDecisions } from './services.ts';

/** Packages of one statement. */
const PAGE = 500;
/** One after the other: then storage does not answer. */
const FAILURES_MAX = 5;

/**
 * Everything that storage has not been told of: at a start, every minute, and before a sweep. One package that cannot be locked keeps no
 * other; storage that takes nothing is not asked again and again. @param signal ends it between two packages
 */
export async function lockBehind(services: Services<WithDecisions>, signal?: AbortSignal): Promise<void> {
  const { registry, blobs, log } = services;
  if (blobs.locks === null) return;
  let failures = 0;
  let failed: unknown = null;
  async function attempt(of: object, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      failures = 0;
    } catch (error) {
      log.warn({ err: error, ...of }, 'objects could not be locked');
      failures += 1;
      failed = error;
      if (failures === FAILURES_MAX) throw error;
    }
  }
  await attempt({}, () => lockMarked(services));
  for (let after = ''; ; ) {
    const ids = await registry.read.locks.listPackages(after, PAGE);
    for (const id of ids) {
      if (signal?.aborted) return;
      await attempt({ package: id }, () => lockInStorage(services, id));
    }
    const last = ids.at(-1);
    if (last === undefined) break;
    after = last;
  }
  if (failed !== null) throw failed;
}
