import { randomBytes } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileLayer } from './file-layer.ts';

/** Users by their number (uid). */
export interface Owners {
  /** Whom this process's files belong to. */
  ours: number;
  /** Whom the folder's files belong to. */
  theirs: number;
}

/**
 * Whether what this process writes in the folder would be another user's than what stands in it. Root may write anywhere; the
 * service, which is not root, could not read it afterwards. Some file systems (network shares, shared folders of virtual machines) give all files one owner, whoever writes
 * them: so it is a file that is asked, not the process. @param made a file of the folder's first start
 * @returns null: it is the same, or the system has no such users
 */
export async function otherOwner(files: FileLayer, dir: string, made: string): Promise<Owners | null> {
  const user = process.geteuid?.();
  if (user === undefined) return null;
  const { uid: theirs } = await lstat(join(dir, made));
  if (theirs === user) return null;
  const name = temporaryName(dir);
  try {
    await (await files.create(name)).close();
    const { uid: ours } = await lstat(name);
    return ours === theirs ? null : { ours, theirs };
  } finally {
    await files.unlink(name).catch(() => {});
  }
}

/** A name that the next start removes, should this process die. */
export function temporaryName(dir: string): string {
  return join(dir, `.new-${randomBytes(16).toString('hex')}`);
}
