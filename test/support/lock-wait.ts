import type { Knex } from 'knex';

/** On PostgreSQL: until a transaction waits for a lock. */
export async function untilSomebodyWaits(db: Knex): Promise<void> {
  for (;;) {
    const waiting = await db('pg_stat_activity')
      .where({ wait_event_type: 'Lock' })
      .whereRaw('datname = current_database()')
      .first('pid');
    if (waiting) return;
  }
}
