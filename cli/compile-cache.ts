import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { makeFolder } from '../src/make-folder.ts';
import { cacheFolder } from './client/tree/cache-folder.ts';

/**
 * Keeps what V8 compiled for this user's next command, which then starts without compiling. Whatever goes wrong makes a
 * start slower and nothing else. NODE_DISABLE_COMPILE_CACHE=1 does without, NODE_COMPILE_CACHE names another folder.
 */
export function keepCompiled(env: Record<string, string | undefined>): void {
  const cache = cacheFolder(env);
  if (cache === null || env.NODE_DISABLE_COMPILE_CACHE || env.NODE_COMPILE_CACHE) return;
  const folder = join(cache, 'compiled');
  try {
    // Before Node does, which would try for ever below /proc.
    if (!existsSync(folder)) makeFolder(folder, 0o700);
    enableCompileCache(folder);
  } catch {}
}
