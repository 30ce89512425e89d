import { StoreError } from '../core/errors.ts';
import { verifierText } from '../core/signed-note.ts';
import { parseTilePath } from '../core/tlog-tiles.ts';
import type { LogCheckpoint, LogGap } from '../registry/log.ts';
import type { Caller, Services, WithObjects, WithReader } from './services.ts';
import { signingKey } from './signing-keys.ts';
import { readStoredTile } from './stored-tiles.ts';

export interface LogState {
  origin: string;
  /** As programs that check signed notes are told of the key that signs now. */
  verifier: string;
  /** Null: none was made yet. */
  checkpoint: LogCheckpoint | null;
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
    gaps: await log.gaps(),
  };
}

/** @param size of one that was made before; left out: one of now @throws StoreError checkpoint_not_found */
export async function logCheckpoint(
  { registry, auditLog }: Services,
  size: number | undefined,
): Promise<LogCheckpoint> {
  if (size === undefined) return auditLog.checkpoint();
  const found = await registry.read.log.checkpoint(size);
  if (found !== null && found.written_at !== null) return found;
  throw new StoreError('checkpoint_not_found', `No checkpoint was made of the log when it had ${size} entries.`);
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
