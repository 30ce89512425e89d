import { appendFileSync } from 'node:fs';
import test from 'ava';

/** Something real that a suite runs against and that a machine may lack. */
export interface Requirement<Thing> {
  /** As in "needs a PostgreSQL". */
  what: string;
  /** What to do so that it can run. */
  how: string;
  start(): Promise<Thing>;
}

/**
 * Starts what a test file needs. Where it cannot be had, the file has one test that stays to be done, `npm test` names it
 * in its last lines, and the rest is null; with CI=true the file fails: there everything runs.
 * @param suite what does not run without it
 */
export async function required<Thing>(suite: string, { what, how, start }: Requirement<Thing>): Promise<Thing | null> {
  try {
    return await start();
  } catch (error) {
    const reason = `${suite} did not run: needs ${what} (${messageOf(error)}). ${how}`;
    if (process.env.CI === 'true') throw new Error(reason, { cause: error });
    const list = process.env.ARTIFACT_STORE_TEST_NOT_RUN;
    if (list !== undefined) appendFileSync(list, `${reason}\n`);
    test.todo(reason);
    return null;
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n', 1)[0] ?? '';
}
