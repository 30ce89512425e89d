import ava, { type TestFn } from 'ava';

type Chain = { [name: string]: Chain } & ((...args: unknown[]) => void);

const HOOKS: readonly unknown[] = ['before', 'after', 'beforeEach', 'afterEach'];

let declared: Array<() => void> | null = [];
let tests = 0;

/** What is called is called later, as `test.after.always` is. What comes too late ava itself refuses. */
function later(chain: Chain, isHook = false): Chain {
  return new Proxy(chain, {
    get: (_, name) => later(chain[name as string] as Chain, isHook || HOOKS.includes(name)),
    apply(_, __, args) {
      if (declared === null) return chain(...args);
      declared.push(() => chain(...args));
      if (!isHook) tests += 1;
    },
  });
}

/** ava for the files of a group: it begins with the tests in the tick after the first is declared, and some files wait for a service before that. */
export default later(ava as unknown as Chain) as unknown as TestFn;

/**
 * Loads the files of a group, one after the other, and declares their tests.
 * @param url of the file that names them
 * @throws Error for one that has none, as ava refuses it
 */
export async function loadGroup(files: readonly string[], url: string): Promise<void> {
  for (const file of files) {
    const before = tests;
    await import(new URL(file, url).href);
    if (tests === before) throw new Error(`No tests found in ${file}`);
  }
  const all = declared ?? [];
  declared = null;
  for (const declare of all) declare();
}
