import type { Sweep } from '../../src/api/types.ts';
import { countOf, formatBytes } from '../format.ts';
import type { ApiClient } from './api/api-client.ts';
import { watch } from './watch.ts';

/** Waits for a sweep to end. @param tell how far it is */
export function watchSweep(client: ApiClient, began: Sweep, tell: (text: string) => void): Promise<Sweep> {
  return watch(
    client.signal,
    began,
    () => client.operations.sweep(began.id),
    ({ report: { requests, unneeded, freed } }) => {
      tell(
        `sweeping: ${countOf(requests, 'request')}, ${countOf(unneeded.count, 'object')} not needed, ${formatBytes(freed.bytes)} freed`,
      );
    },
  );
}
