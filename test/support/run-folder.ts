import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the processes of one `npm test` share: paths, in a folder that goes with this process. */
export interface RunFolder {
  /** The folder itself, for the package as it is built. */
  path: string;
  /** Free for a socket. */
  socket: string;
  /** A file in which test files write what did not run. */
  notRun: string;
  /** A file in which processes write what they cost. */
  times: string;
  /** A folder for what V8 compiled. */
  compiled: string;
  /** An empty folder for the bundle of the sources. */
  bundled: string;
  /** A folder for a registry that was migrated once. */
  migrated: string;
  linesOf(file: string): string[];
}

/** Some tests run the command line as another user, when root runs them: it may write times, and keep what it compiled. */
export function openRunFolder(): RunFolder {
  const folder = mkdtempSync(join(tmpdir(), 'artifact-store-run-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o711);
  const inside = (name: string): string => join(folder, name);
  const [notRun, times] = [inside('not-run'), inside('times')];
  const [compiled, migrated, bundled] = [inside('compiled'), inside('migrated'), inside('bundled')];
  for (const file of [notRun, times]) writeFileSync(file, '');
  chmodSync(times, 0o666);
  for (const made of [compiled, migrated, bundled]) mkdirSync(made);
  chmodSync(compiled, 0o1777);
  const linesOf = (file: string): string[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  return { path: folder, socket: inside('servers'), notRun, times, compiled, migrated, bundled, linesOf };
}
