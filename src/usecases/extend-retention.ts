import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import { type Extension, extendExpiry } from '../core/retention.ts';
import { lockPackage } from './access.ts';
import { decideOnce } from './decide.ts';
import { getRetention, type RetentionState } from './get-retention.ts';
import { recordChange, recordRetention } from './record-change.ts';
import type { Caller, Services, WithDecisions } from './services.ts';

/** @throws StoreError not_later, never_expires, package_deleted */
export async function extendRetention(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  extension: Extension,
  reason: string,
): Promise<RetentionState> {
  await decideOnce(services, id, async (tables) => {
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

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
