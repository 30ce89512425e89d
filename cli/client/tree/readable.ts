import { accessSync, type BigIntStats, constants } from 'node:fs';

/**
 * Whether this process may read files, told from their modes: only where a mode says no is the system asked, as a list of
 * further rights (ACL) may say yes.
 */
export function readability(): (absolute: string, stats: BigIntStats) => boolean {
  const user = process.geteuid?.() ?? 0;
  if (user === 0) return () => true;
  const groups = new Set([process.getegid?.(), ...(process.getgroups?.() ?? [])]);
  return (absolute, { mode, uid, gid }) => {
    const bit = Number(uid) === user ? 0o400n : groups.has(Number(gid)) ? 0o040n : 0o004n;
    return (mode & bit) !== 0n || mayRead(absolute);
  };
}

function mayRead(absolute: string): boolean {
  try {
    accessSync(absolute, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
