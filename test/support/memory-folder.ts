import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const PLACE = '/dev/shm';
/** Several times what the files of a run take at once, with Ceph and PostgreSQL. */
const ROOM = 8 * 1024 ** 3;
const PREFIX = 'artifact-store-tests-';

/**
 * A folder in memory for what the tests of a run write, which costs a tenth less CPU than one on a disk. It goes with this process; what a
 * process has left that was killed goes when the next one begins. Null: there is no such place, it is small, or nothing in it can be
 * run, as in a container.
 */
export function openMemoryFolder(): string | null {
  if (!isFit()) return null;
  for (const name of readdirSync(PLACE)) {
    if (name.startsWith(PREFIX) && !isAlive(Number(name.slice(PREFIX.length)))) remove(join(PLACE, name));
  }
  const folder = join(PLACE, `${PREFIX}${process.pid}`);
  mkdirSync(folder);
  // As /tmp: some tests run programs as other users.
  chmodSync(folder, 0o1777);
  process.on('exit', () => remove(folder));
  return folder;
}

function isFit(): boolean {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    const mount = mounts.map((line) => line.split(' ')).findLast(([, place]) => place === PLACE);
    const [, , type, options = ''] = mount ?? [];
    if (type !== 'tmpfs' || options.split(',').some((option) => option === 'noexec' || option === 'ro')) return false;
    const { bavail, bsize } = statfsSync(PLACE);
    return bavail * bsize >= ROOM;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** What somebody else owns, or a process that is just ending still writes, stays. */
function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // As above.
  }
}
