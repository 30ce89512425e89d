import { StoreError } from '../core/errors.ts';

/** What one request holds of the memory for JSON bodies. */
export interface JsonShare {
  /** @throws StoreError unavailable */
  take(bytes: number): void;
  /** Gives everything back. */
  end(): void;
}

export interface JsonShares {
  open(): JsonShare;
}

/** The memory for JSON bodies of all connections together; counted as bytes arrive, not as they are announced. */
export function jsonShares(maxBytes: number): JsonShares {
  let inFlight = 0;
  return {
    open() {
      let held = 0;
      return {
        take(bytes) {
          if (inFlight + bytes > maxBytes) {
            throw new StoreError('unavailable', 'Too many JSON bodies are under way at once: try again in a moment.');
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
