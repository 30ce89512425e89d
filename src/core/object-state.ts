/**
 * What became of an object. `live`: it is in storage, and its bytes count. `lost`: storage does not have it, or not whole; live
 * again when it is found, removed without being condemned when nothing needs it: its bytes count for nobody. `condemned`: nothing that
 * lives needed it when that was last asked; its bytes are there, and whatever comes to need them makes it live again. `removing`:
 * storage is being told to remove it, which nothing takes back: its bytes count no more. `gone`: storage has removed it. The row
 * stays, because its key is never used again.
 */
export const OBJECT_STATES = ['live', 'lost', 'condemned', 'removing', 'gone'] as const;
export type ObjectState = (typeof OBJECT_STATES)[number];

const MOVES: Record<ObjectState, readonly ObjectState[]> = {
  live: ['lost', 'condemned'],
  lost: ['live', 'removing'],
  condemned: ['live', 'lost', 'removing'],
  removing: ['gone'],
  gone: [],
};

/** States in which an object's bytes count for its blobs: those need not be sent. */
export const HOLDING_STATES = ['live', 'condemned'] as const satisfies readonly ObjectState[];

/**
 * States in which a blob's bytes may be read from an object, the best first: what is condemned may be removed soon, and what is lost
 * may be there again.
 */
export const READABLE_STATES = ['live', 'condemned', 'lost'] as const satisfies readonly ObjectState[];

export function isHolding(state: ObjectState): boolean {
  return (HOLDING_STATES as readonly ObjectState[]).includes(state);
}

export function canMoveObject(from: ObjectState, to: ObjectState): boolean {
  return MOVES[from].includes(to);
}
