import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { tempFolder } from '../support/temp.ts';

const BIN = resolve(import.meta.dirname, '../../cli/bin.ts');

function version(cacheHome: string): { status: number | null; stderr: string } {
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: cacheHome };
  return spawnSync(process.execPath, [BIN, '--version'], { env, encoding: 'utf8' });
}

test('what was compiled is kept in the cache of the user, and where nothing can be kept nothing is said', async (t) => {
  const folder = await tempFolder(t);
  t.like(version(folder), { status: 0, stderr: '' });
  const kept = readdirSync(join(folder, 'artifact-store', 'compiled'), { recursive: true });
  t.true(kept.length > 10, `${kept.length} files`);
  t.like(version('/dev/null'), { status: 0, stderr: '' });
});
