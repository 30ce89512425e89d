import { createHash } from 'node:crypto';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { sha256sumLine } from '../core/manifest.ts';
import type { FileRecord } from '../registry/files.ts';
import type { ReadTables } from '../registry/read-tables.ts';

/** How many files are read at a time. */
const PAGE = 2_000;

/** The files of a package, in the order of their paths' bytes, page by page. */
export async function* filePages(tables: ReadTables, id: PackageId): AsyncGenerator<FileRecord[]> {
  for (let after: string | null = null; ; ) {
    const page = await tables.files.page(id, after, PAGE);
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.path ?? null;
  }
}

/** What one pass over a package's files tells. */
export interface LookedOver {
  /** Of the list that `GET …/manifest?format=sha256sum` answers. */
  filesDigest: Digest;
  /** What the bytes of its files are read from. */
  objectIds: Set<string>;
}

export async function lookOverFiles(tables: ReadTables, id: PackageId): Promise<LookedOver> {
  const hash = createHash('sha256');
  const objectIds = new Set<string>();
  let after: string | null = null;
  for await (const page of filePages(tables, id)) {
    hash.update(page.map((file) => sha256sumLine(digestHex(file.digest), file.path)).join(''));
    for (const objectId of await tables.files.objectsOfPage(id, after, page.length)) objectIds.add(objectId);
    after = page.at(-1)?.path ?? null;
  }
  return { filesDigest: digestFromBytes(hash.digest()), objectIds };
}
