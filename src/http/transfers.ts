import { StoreError } from '../core/errors.ts';

const AGAIN_S = 1;

/** Bodies of bytes that are under way, by whoever sends them: each has a file or a connection to storage of its own. */
export interface Transfers {
  /** @returns gives the place back @throws StoreError too_many_transfers */
  enter(sender: string): () => void;
}

/** @param most of one sender at once, in this process */
export function transfers(most: number): Transfers {
  const underWay = new Map<string, number>();
  return {
    enter(sender) {
      const count = underWay.get(sender) ?? 0;
      if (count >= most) {
        throw new StoreError(
          'too_many_transfers',
          `This sender has ${count} bodies under way at once, and may have ${most}: send this one when another has ended.`,
          {
            limit: 'transfers_at_once',
            allowed: most,
            used: count,
            asked: 1,
            retry_after: AGAIN_S,
            headers: { 'Retry-After': String(AGAIN_S) },
          },
        );
      }
      underWay.set(sender, count + 1);
      return () => {
        const left = (underWay.get(sender) ?? 1) - 1;
        if (left === 0) underWay.delete(sender);
        else underWay.set(sender, left);
      };
    },
  };
}
