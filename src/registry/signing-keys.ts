import type { Knex } from 'knex';

/** A public key that the service signs with, or did. */
export interface SigningKeyRecord {
  /** SHA-256 of its SubjectPublicKeyInfo, hex. */
  id: string;
  /** SubjectPublicKeyInfo. */
  pem: string;
  /** ms. */
  since: number;
  /** Since then nothing is signed with it, ms; null: it is in use. */
  retired_at: number | null;
}

/** Public keys are kept for ever: what they signed is checked with them. */
export function signingKeyTable(db: Knex) {
  return {
    /** The oldest first. */
    list: (): Promise<SigningKeyRecord[]> =>
      db('signing_keys').orderBy(['since', 'id']).select('id', 'pem', 'since', 'retired_at'),

    async get(id: string): Promise<SigningKeyRecord | null> {
      return (await db('signing_keys').where({ id }).first('id', 'pem', 'since', 'retired_at')) ?? null;
    },

    /** One that is known stays as it is. */
    async add(keys: ReadonlyArray<Omit<SigningKeyRecord, 'retired_at'>>): Promise<void> {
      if (keys.length === 0) return;
      await db('signing_keys')
        .insert([...keys])
        .onConflict('id')
        .ignore();
    },

    async retire(id: string, now: number): Promise<void> {
      await db('signing_keys').where({ id, retired_at: null }).update({ retired_at: now });
    },
  };
}

export type SigningKeyTable = ReturnType<typeof signingKeyTable>;
