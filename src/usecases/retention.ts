import { StoreError } from '../core/errors.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import { type EligibilityReason, type Extension, eligibility, extendExpiry } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { HoldRecord, RetentionEventRecord } from '../registry/retention.ts';
import { lockPackage, readPackage } from './access.ts';
import { recordChange, recordRetention } from './record.ts';
import type { Caller, Services } from './services.ts';

export interface RetentionState {
  pkg: PackageRecord;
  eligible: boolean;
  reason: EligibilityReason;
  holds: HoldRecord[];
  events: RetentionEventRecord[];
}

export async function getRetention(services: Services, caller: Caller, id: PackageId): Promise<RetentionState> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, id);
  const [holds, events, now] = [
    await tables.retention.holds(id),
    await tables.retention.events(id),
    await tables.now(),
  ];
  return { pkg, ...eligibility(pkg, now), holds, events };
}

/** @throws StoreError not_later, never_expires, package_deleted */
export async function extendRetention(
  services: Services,
  caller: Caller,
  id: PackageId,
  extension: Extension,
  reason: string,
): Promise<RetentionState> {
  await services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    assertReadable(pkg);
    const at = await tables.now();
    const expiresAt = extendExpiry(pkg.expires_at, extension, at);
    await tables.packages.update(id, { expires_at: expiresAt });
    const change = { package_id: id, at, reason };
    await recordRetention(tables, caller, {
      ...change,
      action: 'extended',
      expires_before: pkg.expires_at,
      expires_after: expiresAt,
    });
    await recordChange(tables, caller, {
      ...change,
      action: 'retention.extended',
      detail: { expires_before: isoOrNull(pkg.expires_at), expires_after: isoOrNull(expiresAt) },
    });
  });
  return getRetention(services, caller, id);
}

export async function placeHold(
  services: Services,
  caller: Caller,
  id: PackageId,
  reason: string,
  reference: string | null,
): Promise<HoldRecord> {
  return services.registry.transaction(async (tables) => {
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

/** @throws StoreError hold_not_found, hold_released */
export async function releaseHold(
  services: Services,
  caller: Caller,
  id: PackageId,
  holdId: string,
  reason: string,
): Promise<HoldRecord> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    assertReadable(pkg);
    const hold = await tables.retention.getHold(id, holdId);
    if (!hold) throw new StoreError('hold_not_found', `${id} has no hold ${JSON.stringify(holdId.slice(0, 100))}.`);
    if (hold.released_at !== null) {
      throw new StoreError('hold_released', `Hold ${holdId} was released at ${isoOrNull(hold.released_at)}.`);
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

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
