import type { PackageId } from '../core/ids.ts';
import { type EligibilityReason, eligibility } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { HoldRecord, RetentionEventRecord } from '../registry/retention.ts';
import { readPackage } from './access.ts';
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
