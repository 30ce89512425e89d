import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { builtBin } from '../support/built.ts';
import { mayMount, mountFor } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp.ts';

function version(bin: string, env: Record<string, string>): { status: number | null; stderr: string } {
  const { PATH } = process.env;
  return spawnSync(process.execPath, [bin, '--version'], { env: { PATH, ...env }, encoding: 'utf8' });
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** A folder on a disk that has no room for one more byte. */
async function fullDisk(t: ExecutionContext, at: string): Promise<string> {
  const full = 'mount -t tmpfs -o size=64k tmpfs "$1" && (cat /dev/zero > "$1/rest" 2>/dev/null || true)';
  return mountFor(t, at, full);
}

test('what was compiled is kept in the cache of the user, and what cannot be kept or read harms nothing', async (t) => {
  const bin = await builtBin(t);
  const folder = await tempFolder(t);
  t.like(version(bin, { XDG_CACHE_HOME: folder }), { status: 0, stderr: '' });
  const kept = filesBelow(join(folder, 'artifact-store', 'compiled'));
  t.true(kept.length > 0);
  for (const file of kept) writeFileSync(file, 'no code');
  t.like(version(bin, { XDG_CACHE_HOME: folder }), { status: 0, stderr: '' }, 'damaged');
  const nowhere: Array<[what: string, env: Record<string, string>]> = [
    ['a device', { XDG_CACHE_HOME: '/dev/null' }],
    ['a folder that cannot be made', { XDG_CACHE_HOME: '/proc/none' }],
    ['a relative path', { XDG_CACHE_HOME: 'cache' }],
    ['no HOME', {}],
    ['a HOME that is not there', { HOME: '/proc/none' }],
    ['done without', { XDG_CACHE_HOME: folder, NODE_DISABLE_COMPILE_CACHE: '1' }],
  ];
  if (mayMount()) nowhere.push(['a full disk', { XDG_CACHE_HOME: await fullDisk(t, join(folder, 'full')) }]);
  for (const [what, env] of nowhere) t.like(version(bin, env), { status: 0, stderr: '' }, what);
});
