import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { HoldRecord } from '../registry/retention.ts';
import { lockPackage } from './access.ts';
import { decideOnce } from './decide.ts';
import { recordChange, recordRetention } from './record-change.ts';
import type { Caller, Services, WithDecisions } from './services.ts';

/** @throws StoreError hold_not_found, hold_released */
export async function releaseHold(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  holdId: string,
  reason: string,
): Promise<HoldRecord> {
  return decideOnce(services, id, async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    assertReadable(pkg);
    const hold = await tables.retention.getHold(id, holdId);
    if (!hold) throw new StoreError('hold_not_found', `${id} has no hold ${JSON.stringify(holdId.slice(0, 100))}.`);
    if (hold.released_at !== null) {
      throw new StoreError(
        'hold_released',
        `Hold ${holdId} was released at ${new Date(hold.released_at).toISOString()}.`,
      );
    }
    const at = await tables.now();
    const released = { released_by: caller.actor, released_at: at, release_reason: reason };
    await tables.retention.releaseHold(holdId, released);
    await tables.packages.update(id, { active_holds: pkg.active_holds - 1 });
    await recordRetention(tables, caller, { package_id: id, action: 'released', at, reason, hold_id: holdId });
    await recordChange(tables, caller, { at, action: 'hold.released', package_id: id, subject_id: holdId, reason });
    return { ...hold, ...released };
  });
}
