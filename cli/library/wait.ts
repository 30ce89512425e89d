import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../client/api/api-client.ts';
import type { Package } from './answers.ts';
import { ArtifactStoreError } from './error.ts';
import type { WaitOptions } from './types.ts';

const FIRST_MS = 100;
const EVERY_MS = 2_000;

/** Asks again and again, less and less often: a package that is about to be finalized is not waited for. */
export async function waitForFinalized(
  job: ApiClient,
  id: string,
  { everyMs = EVERY_MS }: WaitOptions,
): Promise<Package> {
  for (let pause = FIRST_MS; ; pause *= 2) {
    const pkg = await job.getPackage(id);
    const { status, reason } = pkg;
    if (status === 'finalized') return pkg;
    if (status === 'failed' || status === 'deleted') {
      const why = reason === null ? '' : `: ${reason}`;
      const options = { code: `package_${status}`, details: { package_id: id, reason } };
      throw new ArtifactStoreError(`${id} will not be finalized any more, it is ${status}${why}`, options);
    }
    await sleep(Math.min(pause, everyMs), undefined, { signal: job.signal });
  }
}
