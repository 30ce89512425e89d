import type { Knex } from 'knex';
import { StoreError } from '../core/errors.ts';

/**
 * What was seen of a registry whose own pages are damaged. It stays known until the process ends: what can be read may be wrong
 * all the same, and nobody but an operator mends it.
 */
export interface Damage {
  /** What was seen first; null: nothing. */
  readonly seen: string | null;
  /** @returns what a caller is told */
  note(what: string, cause?: unknown): StoreError;
}

export function noDamage(): Damage {
  let seen: string | null = null;
  return {
    get seen() {
      return seen;
    },
    note(what, cause) {
      seen ??= what;
      return new StoreError('registry_damaged', `${DAMAGED} (${what})${RESTORE}`, {}, { cause });
    },
  };
}

const DAMAGED = 'The registry is damaged';
const RESTORE = ': stop the service and restore the registry from a backup, as docs/operations.md says.';

/** Of a database that connect*.ts has opened. */
export function damageOf(db: Knex): Damage {
  return (db.client as { damage: Damage }).damage;
}

/** @returns the same, its damage to be asked for by `damageOf` */
export function withDamage(db: Knex, damage: Damage): Knex {
  Object.assign(db.client as object, { damage });
  return db;
}
