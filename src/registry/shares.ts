import type { Knex } from 'knex';
import type { PackageId, ShareId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';

/** A link that shows a package to whoever has it, without its secret: only the hash of that is kept. Times in ms. */
export interface ShareRecord {
  id: ShareId;
  /** SHA-256 of the token, 32 bytes. */
  token_hash: Buffer;
  package_id: PackageId;
  /** Of the one file that it shows; null: all of them. */
  path: LogicalPath | null;
  note: string | null;
  created_by: string;
  created_at: number;
  expires_at: number;
  revoked_by: string | null;
  revoked_at: number | null;
}

export type NewShare = Omit<ShareRecord, 'revoked_by' | 'revoked_at'>;

/** Rows are never removed: they say what was shown to whom, and until when. */
export function shareTable(db: Knex) {
  return {
    async get(id: ShareId): Promise<ShareRecord | null> {
      return (await db('shares').where({ id }).first()) ?? null;
    },

    /** Of a package, the newest first. @param below ids strictly below this one; null: from the newest on */
    async page(packageId: PackageId, below: string | null, limit: number): Promise<ShareRecord[]> {
      const query = db('shares').where({ package_id: packageId }).orderBy('id', 'desc').limit(limit);
      if (below !== null) query.where('id', '<', below);
      return query.select('*');
    },

    async insert(share: NewShare): Promise<void> {
      await db('shares').insert(share);
    },

    /** The first revocation stays. */
    async revoke(id: ShareId, by: string, now: number): Promise<boolean> {
      return (await db('shares').where({ id, revoked_at: null }).update({ revoked_by: by, revoked_at: now })) > 0;
    },
  };
}

export type ShareTable = ReturnType<typeof shareTable>;
