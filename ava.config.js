import { availableParallelism } from 'node:os';
import { filePatterns, slowestFiles } from './test/support/test-files.ts';

/** A long one that starts last keeps one core busy and the others idle. */
const SLOWEST = slowestFiles();

function rank(path) {
  const at = SLOWEST.findIndex((file) => path.endsWith(file));
  return at === -1 ? SLOWEST.length : at;
}

export default {
  files: filePatterns(process.env, process.argv),
  extensions: { ts: 'module' },
  require: ['./test/support/bundled-sources.ts', './test/support/measure-file.ts', './test/support/grouped-ava.ts'],
  sortTestFiles: (a, b) => rank(a) - rank(b) || a.localeCompare(b),
  // Half of the time a file waits: for Ceph, for a process that starts or ends, until something is tried again.
  concurrency: Math.round(2.5 * availableParallelism()),
  timeout: '90s',
  workerThreads: false,
};
