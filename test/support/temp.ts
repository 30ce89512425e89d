import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of the test's own, by its real path, removed when the test ends. */
export async function tempFolder(t: { teardown(work: () => Promise<void>): void }): Promise<string> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'artifact-store-test-')));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
