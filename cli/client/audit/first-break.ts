import type { Evidence } from './read-evidence.ts';

/** An event, and the hash of the leaf that it makes. */
export interface Found {
  id: string;
  hash: Buffer;
}

/** Where the audit is not what was logged. */
export interface Break {
  /** Of the first entry that differs, from 0; null: it cannot be told. */
  index: number | null;
  /** The event that was logged there; null: it cannot be told. */
  logged: string | null;
  /** The event that stands there; null: none. */
  found: string | null;
  says: string;
}

export interface Compared {
  /** The service's newest checkpoint, and those that somebody kept. */
  checkpoints: { origin: string; size: number; kept: readonly Evidence[] };
  /** What the log says. */
  leaves: ReadonlyArray<Buffer | undefined>;
  /** What the audit says. */
  audit: ReadonlyArray<Found | undefined>;
  /** A checkpoint that the log's leaves do not make, and one that the audit's events do not; null: they make all. */
  againstLeaves: Evidence | null;
  againstAudit: Evidence | null;
  /** An entry as storage has it. */
  logged: (index: number) => Promise<Found | undefined>;
}

/** The first thing that is wrong, in words; null: nothing is. */
export async function firstBreak(compared: Compared): Promise<Break | null> {
  const { checkpoints, leaves, audit, againstLeaves, againstAudit } = compared;
  const foreign = checkpoints.kept.find(({ checkpoint }) => checkpoint.origin !== checkpoints.origin);
  if (foreign !== undefined) {
    const { from, checkpoint } = foreign;
    return unnamed(
      `${from} is a checkpoint of the log ${checkpoint.origin}, and the service has the log ${checkpoints.origin}`,
    );
  }
  const index = leaves.findIndex((leaf, nth) => leaf === undefined || audit[nth]?.hash.equals(leaf) !== true);
  if (index !== -1 && againstLeaves === null) return atEvent(compared, index);
  const longer = checkpoints.kept.find(({ checkpoint }) => checkpoint.size > checkpoints.size);
  if (longer !== undefined) {
    const says = `${longer.from} is a checkpoint of ${longer.checkpoint.size} entries, and the log has ${checkpoints.size}: it was cut off, or the registry is older`;
    return { index: checkpoints.size, logged: null, found: null, says };
  }
  if (againstLeaves === null) return null;
  const found = index === -1 ? null : (audit[index]?.id ?? null);
  if (againstAudit === null && index !== -1) {
    const says = `entry ${index} of the log in storage was changed or lost: the audit's own events make the checkpoints, and the log's tiles do not`;
    return { index, logged: null, found, says };
  }
  const { from, checkpoint } = againstLeaves;
  return unnamed(
    `the first ${checkpoint.size} entries are not those that the checkpoint of ${from} was made of: audit and log were written anew`,
  );
}

function unnamed(says: string): Break {
  return { index: null, logged: null, found: null, says };
}

/** The log is right, and the audit is not. */
async function atEvent({ leaves, audit, logged }: Compared, index: number): Promise<Break> {
  const leaf = leaves[index] as Buffer;
  const entry = await logged(index);
  const was = entry?.hash.equals(leaf) ? entry.id : null;
  const is = audit[index];
  const at = { index, logged: was, found: is?.id ?? null };
  const event = was ?? 'an event that storage has lost';
  if (is === undefined)
    return { ...at, says: `entry ${index}, ${event}, is missing, and so is all that was logged after it` };
  if (is.id === was) return { ...at, says: `entry ${index}, ${event}, was changed after it was logged` };
  const isLogged = leaves.some((each) => each?.equals(is.hash));
  const says = isLogged
    ? `entry ${index}, ${event}, was removed or moved: ${is.id}, which is another entry, stands in its place`
    : `in the place of entry ${index}, ${event}, stands ${is.id}, which was never logged so: it was inserted or changed`;
  return { ...at, says };
}
