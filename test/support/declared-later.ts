import ava, { type TestFn } from 'ava';

type Chain = { [name: string]: Chain } & ((...args: unknown[]) => void);

const declared: Array<() => void> = [];

/** What is called is called later, as `test.after.always` is. */
function later(chain: Chain): Chain {
  return new Proxy(chain, {
    get: (_, name) => later(chain[name as string] as Chain),
    apply(_, __, args) {
      declared.push(() => chain(...args));
    },
  });
}

/** ava for the files of a group: it begins with the tests in the tick after the first is declared, and some files wait for a service before that. */
export default later(ava as unknown as Chain) as unknown as TestFn;

/** When all files of the group have loaded. */
export function declareAll(): void {
  for (const declare of declared) declare();
}
