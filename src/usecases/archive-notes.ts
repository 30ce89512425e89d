import { createHash } from 'node:crypto';
import type { ArchiveMember, MemberPages } from '../core/archive.ts';
import { digestFromBytes } from '../core/digest.ts';
import { foldedName, PortableNames } from '../core/portable-names.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { secondsOf } from './package-members.ts';

const NOTES = { name: 'artifact-store-notes', ending: '.json', schema: 'artifact-store/archive-notes/v1' };

interface Noted {
  pkg: PackageRecord;
  /** Files of the package that are not in the archive, because they were removed from it. */
  removed: ReadonlySet<string>;
  /** Gives the members names that Windows can hold. */
  portable: boolean;
}

/**
 * The members under the names that they get, and before them one that says what is otherwise than in the package: files that were
 * removed, and files that were renamed. There is none where there is nothing to say. Reads all names once or twice.
 */
export async function withNotes(members: MemberPages, { pkg, removed, portable }: Noted): Promise<MemberPages> {
  if (!portable && removed.size === 0) return members;
  const names = new PortableNames();
  /** Of the archive's first level, those that could be the name of the notes. */
  const near = new Set<string>();
  for await (const page of members()) {
    for (const { path } of page) {
      if (portable) names.add(path);
      const [first = ''] = path.split('/', 1);
      if (foldedName(first).startsWith(NOTES.name)) near.add(first);
    }
  }
  names.end();
  const renamed: MemberPages = names.changesNothing ? members : mapped(members, names);
  if (names.changesNothing && removed.size === 0) return renamed;
  const make = () => notes(pkg.id, removed, names.changesNothing ? null : { members, names });
  const path = freeName(new Set([...near].map((name) => foldedName(names.of(name)))));
  const first: ArchiveMember = {
    path,
    ...(await measured(make())),
    executable: false,
    modifiedAt: secondsOf(pkg.finalized_at ?? pkg.created_at),
    source: { make },
  };
  return async function* pages() {
    yield [first];
    yield* renamed();
  };
}

function mapped(members: MemberPages, names: PortableNames): MemberPages {
  return async function* pages() {
    for await (const page of members()) yield page.map((member) => ({ ...member, path: names.of(member.path) }));
  };
}

/** Canonical in its order, not RFC 8785: it is written as the names are read. */
async function* notes(
  id: string,
  removed: ReadonlySet<string>,
  renaming: { members: MemberPages; names: PortableNames } | null,
): AsyncGenerator<Buffer> {
  yield Buffer.from(`{\n"schema": "${NOTES.schema}",\n"package": "${id}",\n"removed": [`);
  let between = '\n';
  for (const path of removed) {
    yield Buffer.from(`${between}${JSON.stringify(path)}`);
    between = ',\n';
  }
  yield Buffer.from('],\n"renamed": [');
  between = '\n';
  if (renaming !== null) {
    for await (const page of renaming.members()) {
      for (const { path } of page) {
        const name = renaming.names.of(path);
        if (name === path) continue;
        yield Buffer.from(`${between}{"path": ${JSON.stringify(path)}, "name": ${JSON.stringify(name)}}`);
        between = ',\n';
      }
    }
  }
  yield Buffer.from(']\n}\n');
}

async function measured(bytes: AsyncIterable<Uint8Array>): Promise<Pick<ArchiveMember, 'size' | 'digest'>> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, digest: digestFromBytes(hash.digest()) };
}

/** @param taken folded names of the archive's first level */
function freeName(taken: ReadonlySet<string>): string {
  let name = `${NOTES.name}${NOTES.ending}`;
  for (let nth = 2; taken.has(name); nth += 1) name = `${NOTES.name}~${nth}${NOTES.ending}`;
  return name;
}
