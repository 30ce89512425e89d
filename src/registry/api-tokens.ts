import type { Knex } from 'knex';
import type { TokenId } from '../core/ids.ts';
import type { Scope } from '../core/scopes.ts';

/** A token of the API, without its secret: only the hash of that is kept. Times in ms. */
export interface ApiTokenRecord {
  id: TokenId;
  name: string;
  description: string | null;
  /** SHA-256 of the token, 32 bytes. */
  token_hash: Buffer;
  scopes: Scope[];
  /** Null: every producer. */
  producers: string[] | null;
  created_by: string;
  created_at: number;
  /** Null: never. */
  expires_at: number | null;
  /** At most a minute older than the last use; null: it was not used. */
  last_used_at: number | null;
  revoked_by: string | null;
  revoked_at: number | null;
}

export type NewApiToken = Omit<ApiTokenRecord, 'last_used_at' | 'revoked_by' | 'revoked_at'>;

type Row = Omit<ApiTokenRecord, 'scopes' | 'producers'> & { scopes: string; producers: string | null };

function fromRow(row: Row): ApiTokenRecord {
  return {
    ...row,
    scopes: JSON.parse(row.scopes) as Scope[],
    producers: row.producers === null ? null : (JSON.parse(row.producers) as string[]),
  };
}

/** Rows are never removed: revoked ones say who revoked them, and that tokens are in use at all. */
export function apiTokenTable(db: Knex) {
  return {
    /** Whether one was ever made. */
    async any(): Promise<boolean> {
      return (await db('api_tokens').first('id')) !== undefined;
    },

    async get(id: TokenId): Promise<ApiTokenRecord | null> {
      const row: Row | undefined = await db('api_tokens').where({ id }).first();
      return row ? fromRow(row) : null;
    },

    /** The newest first. @param below ids strictly below this one; null: from the newest on */
    async page(below: string | null, limit: number): Promise<ApiTokenRecord[]> {
      const query = db('api_tokens').orderBy('id', 'desc').limit(limit);
      if (below !== null) query.where('id', '<', below);
      return ((await query.select('*')) as Row[]).map(fromRow);
    },

    async insert({ scopes, producers, ...token }: NewApiToken): Promise<void> {
      await db('api_tokens').insert({
        ...token,
        scopes: JSON.stringify(scopes),
        producers: producers === null ? null : JSON.stringify(producers),
      });
    },

    /** The first revocation stays. */
    async revoke(id: TokenId, by: string, now: number): Promise<boolean> {
      return (await db('api_tokens').where({ id, revoked_at: null }).update({ revoked_by: by, revoked_at: now })) > 0;
    },

    /** It was used now. Not noted when a later use, or one at most `within` ms before, stands already. */
    async noteUse(id: TokenId, now: number, within: number): Promise<void> {
      await db('api_tokens')
        .where({ id })
        .andWhere((old) => old.whereNull('last_used_at').orWhere('last_used_at', '<', now - within))
        .update({ last_used_at: now });
    },
  };
}

export type ApiTokenTable = ReturnType<typeof apiTokenTable>;
