import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const PLACE = '/dev/shm';
/** Several times what the files of a run take at once, with Ceph and PostgreSQL. */
const ROOM = 8 * 1024 ** 3;
const NAME = /^artifact-store-tests-(\d+)-(\d+)-\w+$/;

/**
 * A folder in memory for what the tests of a run write, which costs a tenth less CPU than one on a disk. It goes with this process; what a
 * process has left that was killed goes when the next one begins. Null: there is no such place, it is small, or nothing in it can be
 * run, as in a container.
 */
export function openMemoryFolder(): string | null {
  try {
    if (!isFit()) return null;
    // Containers may share the place, and have processes of the same numbers.
    const [, space = ''] = /(\d+)/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
    for (const name of readdirSync(PLACE)) if (isLeft(name, space)) remove(join(PLACE, name));
    const folder = mkdtempSync(join(PLACE, `artifact-store-tests-${space}-${process.pid}-`));
    // As /tmp: some tests run programs as other users.
    chmodSync(folder, 0o1777);
    process.on('exit', () => remove(folder));
    return folder;
  } catch {
    // A place that does not behave is none.
    return null;
  }
}

function isFit(): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const mount = mounts.map((line) => line.split(' ')).findLast(([, place]) => place === PLACE);
  const [, , type, options = ''] = mount ?? [];
  if (type !== 'tmpfs' || options.split(',').some((option) => option === 'noexec' || option === 'ro')) return false;
  const { bavail, bsize } = statfsSync(PLACE);
  return Math.min(bavail * bsize, process.availableMemory()) >= ROOM;
}

/** It is of a run of this user that was killed. */
function isLeft(name: string, space: string): boolean {
  const [, of, pid] = NAME.exec(name) ?? [];
  if (of !== space || statSync(join(PLACE, name), { throwIfNoEntry: false })?.uid !== process.getuid?.()) return false;
  try {
    process.kill(Number(pid), 0);
    return Number(pid) === process.pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** What a process that is just ending still writes stays, for the next run. */
function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // As above.
  }
}
