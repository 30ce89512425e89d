import type { Decision, DecisionAction } from './decision.ts';
import { derivedId, type PackageId } from './ids.ts';
import { daysAfter, expiryAtFinalize, type FileRule, laterExpiry } from './retention.ts';

/** A hold as decisions tell it; times in ms. */
export interface ToldHold {
  id: string;
  reason: string;
  reference: string | null;
  placed_by: string;
  placed_at: number;
  released_by: string | null;
  released_at: number | null;
  release_reason: string | null;
}

export interface ToldEvent {
  id: string;
  action: 'set' | DecisionAction;
  at: number;
  actor: string;
  reason: string | null;
  hold_id: string | null;
  expires_before: number | null;
  expires_after: number | null;
  /** Storage does not have it. */
  to_write: boolean;
}

/** What became of a finalized package, as its decisions tell it. */
export interface PackageHistory {
  retention_days: number | null;
  file_rules: readonly FileRule[];
  expires_at: number | null;
  created_by: string;
  sealed_by: string;
  /** Null: no decision says it. */
  stored_size: number | null;
  deletion: { at: number; reason: string | null } | null;
  holds: ToldHold[];
  /** Files that were removed, by the id of the event that says who, when and why. */
  removals: Array<{ event: string; paths: readonly string[] }>;
  events: ToldEvent[];
  /** Decisions that make no sense with the others: a release of a hold that is not known. */
  senseless: string[];
}

const UNKNOWN_ACTOR = 'artifact-store';

/**
 * Tells a package's history again. Where decisions say nothing (their objects are older, or were never written because a crash came
 * first), the package was finalized by its class as it stands in the configuration, and kept for ever where that is not known either.
 * @param classDays of the package's class today; undefined: there is no such class
 */
export function retell(
  pkg: { id: PackageId; created_at: number; finalized_at: number },
  decisions: readonly Decision[],
  classDays: number | null | undefined,
): PackageHistory {
  const sorted = decisions.map(timed).toSorted(inOrder);
  const first = sorted.find(({ action }) => action === 'finalized');
  const days = first === undefined ? (classDays ?? null) : (first.retention_days ?? null);
  const sealedBy = first?.actor ?? UNKNOWN_ACTOR;
  const createdBy = first?.created_by ?? sealedBy;
  const set = daysAfter(pkg.created_at, days);
  const common = { reason: null, hold_id: null, expires_before: null, to_write: false };
  const history: PackageHistory = {
    retention_days: days,
    file_rules: first?.file_rules ?? [],
    expires_at: set,
    created_by: createdBy,
    sealed_by: sealedBy,
    stored_size: first?.stored_size ?? null,
    deletion: null,
    holds: [],
    removals: [],
    events: [
      {
        ...common,
        id: derivedId('evt', pkg.created_at, `set ${pkg.id}`),
        action: 'set',
        at: pkg.created_at,
        actor: createdBy,
        expires_after: set,
      },
    ],
    senseless: [],
  };
  for (const decision of sorted) tell(history, decision);
  if (first === undefined) {
    const before = history.expires_at;
    history.expires_at = expiryAtFinalize(before, pkg.finalized_at, days);
    history.events.push({
      ...common,
      id: derivedId('evt', pkg.finalized_at, `finalized ${pkg.id}`),
      action: 'finalized',
      at: pkg.finalized_at,
      actor: sealedBy,
      expires_before: before,
      expires_after: history.expires_at,
      to_write: true,
    });
  }
  return history;
}

type Timed = Omit<Decision, 'at'> & { at: number };

function timed(decision: Decision): Timed {
  return { ...decision, at: Date.parse(decision.at) };
}

/** Of what happened in one millisecond ids do not tell the order, but what must come first is known. */
const RANK: Record<DecisionAction, number> = {
  finalized: 0,
  held: 1,
  extended: 2,
  released: 3,
  files_deleted: 4,
  deleted: 5,
};

function inOrder(a: Timed, b: Timed): number {
  const expiry = ({ expires_at }: Timed): number => (expires_at ? Date.parse(expires_at) : Number.POSITIVE_INFINITY);
  return (
    a.at - b.at ||
    RANK[a.action] - RANK[b.action] ||
    (a.action === 'extended' ? expiry(a) - expiry(b) : 0) ||
    (a.id < b.id ? -1 : 1)
  );
}

function tell(history: PackageHistory, decision: Timed): void {
  const { id, action, at, actor, reason } = decision;
  const told = decision.expires_at === null ? null : Date.parse(decision.expires_at ?? '');
  const event: ToldEvent = {
    id,
    action,
    at,
    actor,
    reason,
    hold_id: decision.hold?.id ?? null,
    expires_before: null,
    expires_after: null,
    to_write: false,
  };
  if (action === 'finalized' || action === 'extended') {
    event.expires_before = history.expires_at;
    event.expires_after = told;
    history.expires_at = laterExpiry(history.expires_at, told);
  } else if (action === 'files_deleted') {
    history.removals.push({ event: id, paths: decision.paths ?? [] });
  } else if (action === 'deleted') {
    event.expires_before = told;
    history.deletion = { at, reason };
  } else if (!tellHold(history, decision)) {
    history.senseless.push(id);
    return;
  }
  history.events.push(event);
}

function tellHold({ holds }: PackageHistory, { action, at, actor, reason, hold }: Timed): boolean {
  const id = hold?.id ?? '';
  const placed = holds.find((one) => one.id === id);
  if (action === 'held') {
    if (placed !== undefined) return false;
    const released = { released_by: null, released_at: null, release_reason: null };
    const reference = hold?.reference ?? null;
    holds.push({ id, reason: reason ?? '', reference, placed_by: actor, placed_at: at, ...released });
    return true;
  }
  if (placed === undefined || placed.released_at !== null) return false;
  Object.assign(placed, { released_by: actor, released_at: at, release_reason: reason });
  return true;
}
