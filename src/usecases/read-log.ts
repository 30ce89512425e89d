import { StoreError } from '../core/errors.ts';
import { verifierText } from '../core/signed-note.ts';
import { parseTilePath } from '../core/tlog-tiles.ts';
import type { LogCheckpoint, LogGap } from '../registry/log.ts';
import type { Caller, Services, WithObjects, WithReader } from './services.ts';
import { signingKey } from './signing-keys.ts';
import { storedCheckpoint, storedTimeStamp } from './stored-checkpoint.ts';
import { readStoredTile } from './stored-tiles.ts';

export interface LogState {
  origin: string;
  /** As programs that check signed notes are told of the key that signs now. */
  verifier: string;
  /** Null: none was made yet. */
  checkpoint: LogCheckpoint | null;
  /** The newest that an authority has stamped; null: none. */
  stamped: LogCheckpoint | null;
  gaps: LogGap[];
}

export async function logState(services: Services<WithObjects>): Promise<LogState> {
  const { log } = services.registry.read;
  const name = services.auditLog.origin();
  const { publicKey: key } = await signingKey(services);
  return {
    origin: name,
    verifier: verifierText({ name, key }),
    checkpoint: await log.newestWritten(),
    stamped: await log.newestStamped(),
    gaps: await log.gaps(),
  };
}

/** A signed note. @param size of one that was made before; left out: one of now @throws StoreError checkpoint_not_found */
export async function logCheckpoint(services: Services<WithReader>, size: number | undefined): Promise<string> {
  if (size === undefined) return (await services.auditLog.checkpoint()).note;
  const note = await noteOf(services, size);
  if (note !== null) return note;
  throw new StoreError('checkpoint_not_found', `No checkpoint was made of the log when it had ${size} entries.`);
}

/** What an authority has answered for the checkpoint of that size (RFC 3161). @throws StoreError timestamp_not_found */
export async function logTimeStamp(services: Services<WithReader>, size: number): Promise<Buffer> {
  const note = await noteOf(services, size);
  const stamp = note === null ? null : await storedTimeStamp(services.blobs, { size, note });
  if (stamp !== null) return stamp;
  throw new StoreError('timestamp_not_found', `There is no time stamp of a checkpoint of ${size} entries.`);
}

/** Of before a registry was rebuilt, storage alone has them. */
async function noteOf({ registry, blobs }: Services<WithReader>, size: number): Promise<string | null> {
  const known = await registry.read.log.checkpoint(size);
  if (known === null) return storedCheckpoint(blobs, size);
  return known.written_at === null ? null : known.note;
}

/** As storage has it. Whoever may not read everything gets no entries. @throws StoreError forbidden, object_not_found */
export async function readLogTile({ blobs }: Services<WithReader>, caller: Caller, path: string): Promise<Buffer> {
  const tile = parseTilePath(path);
  if (tile?.level === 'entries' && !('all' in caller.reads)) {
    throw new StoreError('forbidden', 'The entries of the log are for those who may read every package.');
  }
  const bytes = tile === null ? null : await readStoredTile(blobs, tile);
  if (bytes !== null) return bytes;
  throw new StoreError('object_not_found', `The log has no ${JSON.stringify(path.slice(0, 100))}.`);
}
