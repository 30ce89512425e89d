import type { Knex } from 'knex';

/** A client of connect-*.ts. */
interface GuardedClient {
  /** It refuses what writes. */
  readOnly: boolean;
}

/** The same database, over the same connections, for reading alone: a statement that writes is refused before it runs. */
export function readOnly(db: Knex): Knex {
  const reading = db.withUserParams({});
  (reading.client as GuardedClient).readOnly = true;
  // Once the database is closed neither has connections.
  Object.defineProperty(reading.client, 'pool', { get: () => db.client.pool });
  return reading;
}

/** What a statement that writes is answered outside of a transaction. A fault of ours, and never of a request. */
export function writeRefused(sql: string): Error {
  return new Error(`Only a transaction writes to the registry, and this was asked outside of one: ${sql.slice(0, 80)}`);
}
