import { createHash } from 'node:crypto';
import type { ArchiveMember } from '../core/archive.ts';
import { digestFromBytes } from '../core/digest.ts';

/** Gives the same bytes each time. */
export type Make = () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** A member of an archive that is no file of the package. Makes it once, for its size and digest. @param modifiedAt seconds since 1970 */
export async function madeMember(path: string, make: Make, modifiedAt: number): Promise<ArchiveMember> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of make()) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { path, size, digest: digestFromBytes(hash.digest()), executable: false, modifiedAt, source: { make } };
}
