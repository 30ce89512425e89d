import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_POLL_MS = 50;
const POLL_MAX_MS = 2_000;
/** How often somebody who waits is told how far it is. */
const TELL_MS = 5_000;

/** Waits for work of the service to end. @param ask how far it is now @param tell called now and then */
export async function watch<Work extends { state: string }>(
  signal: AbortSignal,
  began: Work,
  ask: () => Promise<Work>,
  tell: (work: Work) => void,
): Promise<Work> {
  let told = Date.now();
  let work = began;
  for (let pause = FIRST_POLL_MS; work.state === 'running'; pause = Math.min(POLL_MAX_MS, pause * 2)) {
    await sleep(pause, undefined, { signal });
    work = await ask();
    if (work.state !== 'running' || Date.now() < told + TELL_MS) continue;
    told = Date.now();
    tell(work);
  }
  return work;
}
