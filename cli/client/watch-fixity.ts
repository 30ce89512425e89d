import type { FixityRun } from '../../src/api/types.ts';
import { countOf, formatBytes } from '../format.ts';
import type { ApiClient } from './api/api-client.ts';
import { watch } from './watch.ts';

/** Waits for a reading to end. @param tell how far it is */
export function watchFixity(client: ApiClient, began: FixityRun, tell: (text: string) => void): Promise<FixityRun> {
  return watch(
    client.signal,
    began,
    () => client.operations.fixityRun(began.id),
    ({ report }) => {
      tell(
        `reading: ${countOf(report.objects, 'object')}, ${formatBytes(report.bytes)}; ${report.newly} newly damaged`,
      );
    },
  );
}
