import { newId, type PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { HoldRecord } from '../registry/retention.ts';
import { lockPackage } from './access.ts';
import { decideOnce } from './decide.ts';
import { recordChange, recordRetention } from './record-change.ts';
import type { Caller, Services, WithDecisions } from './services.ts';

export async function placeHold(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  reason: string,
  reference: string | null,
): Promise<HoldRecord> {
  return decideOnce(services, id, async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    assertReadable(pkg);
    const at = await tables.now();
    const hold: HoldRecord = {
      id: newId('hold', at),
      package_id: id,
      reason,
      reference,
      placed_by: caller.actor,
      placed_at: at,
      released_by: null,
      released_at: null,
      release_reason: null,
    };
    await tables.retention.addHold(hold);
    await tables.packages.update(id, { active_holds: pkg.active_holds + 1 });
    await recordRetention(tables, caller, { package_id: id, action: 'held', at, reason, hold_id: hold.id });
    await recordChange(tables, caller, {
      at,
      action: 'hold.placed',
      package_id: id,
      subject_id: hold.id,
      reason,
      detail: { reference },
    });
    return hold;
  });
}
