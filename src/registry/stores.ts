import type { Knex } from 'knex';
import type { StoreId } from '../core/store-identity.ts';

/** There is one today. */
const THE_STORE = 1;

/** The stores that hold the registry's objects, and by which id each is known. */
export function storeTable(db: Knex) {
  return {
    /** Null: none was settled yet. */
    async getId(): Promise<StoreId | null> {
      const row: { id: StoreId } | undefined = await db('stores').where({ no: THE_STORE }).first('id');
      return row?.id ?? null;
    },

    /** The first one stays. */
    async setId(id: StoreId, now: number): Promise<void> {
      await db('stores').insert({ no: THE_STORE, id, since: now }).onConflict('no').ignore();
    },

    /** When registry and store were last compared although the store knew more; ms, null: never. */
    async getReconciledAt(): Promise<number | null> {
      const row: { reconciled_at: number | null } | undefined = await db('stores')
        .where({ no: THE_STORE })
        .first('reconciled_at');
      return row?.reconciled_at ?? null;
    },

    async setReconciled(now: number): Promise<void> {
      await db('stores').where({ no: THE_STORE }).update({ reconciled_at: now });
    },
  };
}

export type StoreTable = ReturnType<typeof storeTable>;
