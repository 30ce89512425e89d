import { StoreError } from '../core/errors.ts';

/**
 * Another transaction has changed what this one had read: it is rolled back, and run again from its beginning (`Registry.transaction`). Who
 * loses again and again gets `unavailable`.
 */
export class LostRaceError extends StoreError {
  /** @param what was changed, as a noun */
  constructor(what: string) {
    super('unavailable', `Others were changing ${what} at the same time: try again.`);
  }
}
