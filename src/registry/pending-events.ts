import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { rowsOf } from './dialect.ts';

/**
 * Names what our locks are about: the upper half of their 64-bit keys, that no other of ours and hardly anybody else's has.
 * The lower half, and eight bits more, are a seq.
 */
const NAMESPACE = 0x61_7564n << 40n;
const SEQUENCE = `pg_get_serial_sequence('audit_events', 'seq')::regclass`;

/** On PostgreSQL: which audit events belong to transactions that have not ended, and may still come to be seen. */
export function pendingEvents(db: Knex) {
  return {
    /**
     * In the transaction, before it draws a seq: every one of its own will be greater than the one that its lock names. The
     * lock is shared and nobody takes it exclusively: it waits for nothing, and nothing waits for it. It ends after the
     * transaction's events can be seen.
     */
    async announce(): Promise<void> {
      await db.raw(
        `select pg_advisory_xact_lock_shared(${NAMESPACE} + coalesce(pg_sequence_last_value(${SEQUENCE}), 0))`,
      );
    },

    /**
     * A seq up to which there will be no event that cannot be seen now. It is the last there is, once all have ended that
     * were adding when this was called.
     * @param patience how long it waits for those, ms; then events after theirs are held back
     */
    async lastComplete(patience: number, interval: number): Promise<number> {
      const last = await lastDrawn();
      for (const deadline = performance.now() + patience; ; await sleep(interval)) {
        const before = await leastAnnounced();
        if (before === null || before >= last) return last;
        if (performance.now() >= deadline) return before;
      }
    },
  };

  async function lastDrawn(): Promise<number> {
    const [row] = rowsOf<{ seq: number | null }>(await db.raw(`select pg_sequence_last_value(${SEQUENCE}) as seq`));
    return row?.seq ?? 0;
  }

  /** Null: nobody is adding. */
  async function leastAnnounced(): Promise<number | null> {
    const [row] = rowsOf<{ seq: number | null }>(
      await db.raw(
        `select min(((classid::bigint << 32) | objid::bigint) - ${NAMESPACE}) as seq from pg_locks
         where locktype = 'advisory' and objsubid = 1
           and database = (select oid from pg_database where datname = current_database())
           and (classid::bigint << 32 | objid::bigint) >> 40 = ${NAMESPACE >> 40n}`,
      ),
    );
    return row?.seq ?? null;
  }
}
