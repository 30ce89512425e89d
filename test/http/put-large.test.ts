import test from 'ava';
import { largeBodies, passLargeFiles } from '../suites/large-files.ts';

test('a large file goes in and out of a folder in less than 250 MB of memory', async (t) => {
  t.timeout(600_000);
  await passLargeFiles(t, largeBodies(), {});
});
