import type { Knex } from 'knex';
import { StoreError } from '../core/errors.ts';

/** For the few places where the two dialects need different words. */
export function isPostgres(db: Knex): boolean {
  return db.client.dialect === 'postgresql';
}

/** `raw` answers with the rows on SQLite and with a result that holds them on PostgreSQL. */
export function rowsOf<Row>(result: unknown): Row[] {
  return (Array.isArray(result) ? result : (result as { rows: Row[] }).rows) as Row[];
}

/**
 * PostgreSQL cannot hold U+0000 in a text and SQLite can: neither is given one, so that both answer the same.
 * @throws StoreError invalid_request
 */
export function refuseNul(values: readonly unknown[]): void {
  if (values.some((value) => typeof value === 'string' && value.includes('\u0000'))) {
    throw new StoreError(
      'invalid_request',
      'A text in the request contains the character U+0000, which cannot be stored.',
    );
  }
}
