import { homedir } from 'node:os';
import { join } from 'node:path';

/** What the command line remembers for this user, and may lose without harm (XDG Base Directory Specification). */
export function cacheFolder(env: Record<string, string | undefined>): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'artifact-store');
}
