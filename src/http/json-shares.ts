import { StoreError } from '../core/errors.ts';

/** One request's share of the memory for JSON bodies. */
export interface JsonShare {
  /** @throws StoreError unavailable */
  take(bytes: number): void;
  /** Gives all of it back. */
  end(): void;
}

export interface JsonShares {
  open(sender: string): JsonShare;
}

/**
 * Limits the JSON bodies of all connections together, and those of one sender to half of that: slow bodies of one, which hold
 * their share for as long as they come, take nobody else's. A single body may have all. Counts bytes as they arrive, not as they
 * are announced.
 */
export function jsonShares(maxBytes: number): JsonShares {
  let inFlight = 0;
  const bySender = new Map<string, number>();
  const add = (sender: string, bytes: number): void => {
    inFlight += bytes;
    const all = (bySender.get(sender) ?? 0) + bytes;
    if (all === 0) bySender.delete(sender);
    else bySender.set(sender, all);
  };
  return {
    open(sender) {
      let held = 0;
      return {
        take(bytes) {
          if (inFlight + bytes > maxBytes) {
            throw new StoreError(
              'unavailable',
              'The service holds as many JSON bodies as it can: try again in a moment.',
            );
          }
          const others = (bySender.get(sender) ?? 0) - held;
          if (others > 0 && others + held + bytes > maxBytes / 2) {
            throw new StoreError(
              'unavailable',
              'The service holds as many JSON bodies of this sender as it can: try again when others have ended.',
            );
          }
          add(sender, bytes);
          held += bytes;
        },
        end() {
          add(sender, -held);
          held = 0;
        },
      };
    },
  };
}
