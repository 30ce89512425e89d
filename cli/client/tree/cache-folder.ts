import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * What the command line remembers for this user, and may lose without harm (XDG Base Directory Specification, which says
 * to ignore a relative path). @returns null when this user has no home
 */
export function cacheFolder(env: Record<string, string | undefined>): string | null {
  const { XDG_CACHE_HOME: named = '' } = env;
  const caches = isAbsolute(named) ? named : join(env.HOME || homeOfUser(), '.cache');
  return isAbsolute(caches) ? join(caches, 'artifact-store') : null;
}

function homeOfUser(): string {
  try {
    return homedir();
  } catch {
    // Without HOME, and not in the list of users: as containers run that are given any user id.
    return '';
  }
}
