import { StoreError } from '../core/errors.ts';
import { consistencyProof, inclusionProof, leafHash } from '../core/merkle.ts';
import { proofText } from '../core/tlog-proof.ts';
import { hashReader, splitHashes, TILE_WIDTH } from '../core/tlog-tiles.ts';
import type { LogCheckpoint } from '../registry/log.ts';
import { entryOf } from './log-entry.ts';
import type { Caller, Services } from './services.ts';

/**
 * That an event is in the log: its entry, the hashes to the root, and a signed checkpoint (c2sp.org/tlog-proof).
 * @throws StoreError event_not_found; integrity_failure: the event is not the one that was logged
 */
export async function proveEvent(
  { registry, auditLog }: Services,
  caller: Caller,
  eventId: string,
): Promise<{ text: string }> {
  const { read } = registry;
  const event = await read.audit.find(eventId, caller.reads);
  if (event === null) {
    throw new StoreError('event_not_found', `There is no audit event ${JSON.stringify(eventId.slice(0, 100))}.`);
  }
  const find = async (checkpoint: LogCheckpoint | null) => {
    const index = await read.log.placeOf(event.seq);
    return index !== null && checkpoint !== null && index < checkpoint.size ? { index, checkpoint } : null;
  };
  const found = (await find(await read.log.newestWritten())) ?? (await find(await auditLog.checkpoint()));
  if (found === null) {
    if (event.seq > (await read.log.head()).last_seq) {
      throw new StoreError('unavailable', 'Events before this one are still being added: ask again in a moment.');
    }
    throw notAsLogged(eventId, 'it was added to the audit by other means');
  }
  const { index, checkpoint } = found;
  const entry = entryOf(event);
  const [tile] = await read.log.tiles([{ level: 0, n: Math.floor(index / TILE_WIDTH) }]);
  const hash = splitHashes(tile as Buffer)[index % TILE_WIDTH];
  if (hash === undefined || !leafHash(entry).equals(hash)) throw notAsLogged(eventId, 'it was changed afterwards');
  const hashes = await inclusionProof(index, checkpoint.size, reader(read.log));
  return { text: proofText({ entry, index, hashes, note: checkpoint.note }) };
}

function notAsLogged(event: string, why: string): StoreError {
  const detail = `The audit event ${event} is not as it was logged: ${why}. \`artifact-store audit verify\` says where the audit breaks.`;
  return new StoreError('integrity_failure', detail, { event });
}

/**
 * That a log of `to` entries begins with the one of `from` entries. @param to left out: of the newest checkpoint
 * @throws StoreError invalid_request: it never had so many
 */
export async function proveConsistency(
  { registry, auditLog }: Services,
  from: number,
  to: number | undefined,
): Promise<{ from: number; to: number; hashes: Buffer[] }> {
  const { log } = registry.read;
  const second = to ?? (await auditLog.checkpoint()).size;
  const { size } = await log.head();
  if (second > size) throw tooFew(second, size);
  if (from > second) throw tooFew(from, second);
  return { from, to: second, hashes: await consistencyProof(from, second, reader(log)) };
}

function tooFew(asked: number, size: number): StoreError {
  return new StoreError(
    'invalid_request',
    `The log has ${size} entries, not ${asked}. If it had as many once, it was cut off since, or the registry is older than the checkpoint.`,
  );
}

function reader(log: Services['registry']['read']['log']) {
  return hashReader((places) => log.tiles(places));
}
