import { StoreError } from '../core/errors.ts';

const AGAIN_S = 1;

/** What is under way, by whoever asked for it: each has memory, and a file or a connection to storage, of its own. */
export interface Transfers {
  /** @returns gives the place back @throws StoreError too_many_transfers */
  enter(caller: string): () => void;
}

/** Bodies of bytes. @param most of one sender at once, in this process */
export function transfers(most: number): Transfers {
  return atOnce(most, 'transfers_at_once', (count) => ({
    has: `This sender has ${count} bodies under way at once, and may have ${most}`,
    next: 'send this one when another has ended',
  }));
}

/** Archives. @param most of one caller at once, in this process */
export function archivesAtOnce(most: number): Transfers {
  return atOnce(most, 'archives_at_once', (count) => ({
    has: `This caller has ${count} archives under way at once, and may have ${most}`,
    next: 'ask for this one when another has ended',
  }));
}

function atOnce(most: number, limit: string, say: (count: number) => { has: string; next: string }): Transfers {
  const underWay = new Map<string, number>();
  return {
    enter(sender) {
      const count = underWay.get(sender) ?? 0;
      if (count >= most) {
        const { has, next } = say(count);
        throw new StoreError('too_many_transfers', `${has}: ${next}.`, {
          limit,
          allowed: most,
          used: count,
          asked: 1,
          retry_after: AGAIN_S,
          headers: { 'Retry-After': String(AGAIN_S) },
        });
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
