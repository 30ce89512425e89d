import { StoreError } from '../core/errors.ts';

/** One request's share of the memory for JSON bodies. */
export interface JsonShare {
  /** @throws StoreError unavailable */
  take(bytes: number): void;
  /** Gives all of it back. */
  end(): void;
}

export interface JsonShares {
  open(): JsonShare;
}

/** Limits the JSON bodies of all connections together. Counts bytes as they arrive, not as they are announced. */
export function jsonShares(maxBytes: number): JsonShares {
  let inFlight = 0;
  return {
    open() {
      let held = 0;
      return {
        take(bytes) {
          if (inFlight + bytes > maxBytes) {
            throw new StoreError(
              'unavailable',
              'The service holds as many JSON bodies as it can: try again in a moment.',
            );
          }
          inFlight += bytes;
          held += bytes;
        },
        end() {
          inFlight -= held;
          held = 0;
        },
      };
    },
  };
}
