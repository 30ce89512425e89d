import type * as wire from '../../../src/api/types.ts';
import { HASH_SIZE } from '../../../src/core/merkle.ts';
import { TIME_STAMP_MAX } from '../../../src/core/time-stamp.ts';
import { ENTRY_MAX_BYTES, TILE_WIDTH, type Tile, tilePath } from '../../../src/core/tlog-tiles.ts';
import { wholeBody } from './bounded-body.ts';
import type { JsonCalls, Query } from './json-calls.ts';

/** A proof has an entry, and the hashes of some fifty levels. */
const TEXT_MAX = 256 * 1024;
const TILE_MAX = TILE_WIDTH * HASH_SIZE;
const BUNDLE_MAX = TILE_WIDTH * (2 + ENTRY_MAX_BYTES);

export type LogCalls = ReturnType<typeof logCalls>;

/** The audit's events, and the log of them. */
export function logCalls(calls: JsonCalls) {
  const bytes = (path: string, query: Query, most: number): Promise<Buffer> =>
    calls.ask({ method: 'GET', path, query }, ({ body }) => wholeBody(body, most));
  const text = async (path: string, query: Query): Promise<string> =>
    (await bytes(path, query, TEXT_MAX)).toString('utf8');
  return {
    events: (query: Query): Promise<wire.AuditList> => calls.list('audit', '/v1/audit', query),

    state: (): Promise<wire.LogState> => calls.get('log', '/v1/log'),

    /** A signed note. @param size of one that was made before; left out: of now */
    checkpoint: (size?: number): Promise<string> => text('/v1/log/checkpoint', { size }),

    /** What an authority has answered for the checkpoint of that size (RFC 3161); not checked. */
    timeStamp: (size: number): Promise<Buffer> => bytes('/v1/log/timestamp', { size }, TIME_STAMP_MAX),

    /** C2SP tlog-proof; not checked. @param event its id */
    proof: (event: string): Promise<string> => text('/v1/log/proof', { event }),

    consistency: (from: number, to: number): Promise<wire.LogConsistency> =>
      calls.get('consistency', '/v1/log/consistency', { from, to }),

    tile: (tile: Tile): Promise<Buffer> =>
      bytes(`/v1/log/${tilePath(tile)}`, {}, tile.level === 'entries' ? BUNDLE_MAX : TILE_MAX),
  };
}
