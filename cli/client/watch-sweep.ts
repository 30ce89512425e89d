import { setTimeout as sleep } from 'node:timers/promises';
import type { Sweep } from '../../src/api/types.ts';
import { countOf, formatBytes } from '../format.ts';
import type { ApiClient } from './api/api-client.ts';

const FIRST_POLL_MS = 50;
const POLL_MAX_MS = 2_000;
/** How often somebody who waits is told how far it is. */
const TELL_MS = 5_000;

/** Waits for a sweep to end. @param tell how far it is */
export async function watchSweep(client: ApiClient, began: Sweep, tell: (text: string) => void): Promise<Sweep> {
  let told = Date.now();
  let sweep = began;
  for (let pause = FIRST_POLL_MS; sweep.state === 'running'; pause = Math.min(POLL_MAX_MS, pause * 2)) {
    await sleep(pause, undefined, { signal: client.signal });
    sweep = await client.sweep(began.id);
    if (sweep.state !== 'running' || Date.now() < told + TELL_MS) continue;
    told = Date.now();
    const { requests, unneeded, freed } = sweep.report;
    tell(
      `sweeping: ${countOf(requests, 'request')}, ${countOf(unneeded.count, 'object')} not needed, ${formatBytes(freed.bytes)} freed`,
    );
  }
  return sweep;
}
