import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArchiveMember, MemberPages } from '../core/archive.ts';
import { foldedName, PortableNames } from '../core/portable-names.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { madeMember } from './made-member.ts';
import { secondsOf } from './package-members.ts';

const SETTLED_AT_ONCE = 2_000;
const NOTES = { name: 'artifact-store-notes', ending: '.json', schema: 'artifact-store/archive-notes/v1' };

export interface Noted {
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
export async function withNotes(members: MemberPages, noted: Noted): Promise<MemberPages> {
  const { notes, pages } = await notedMembers(members, noted);
  if (notes === null) return pages;
  return async function* both() {
    yield [notes];
    yield* pages();
  };
}

/** The same, with the notes apart: null where there is nothing to say. */
export async function notedMembers(
  members: MemberPages,
  { pkg, removed, portable }: Noted,
): Promise<{ notes: ArchiveMember | null; pages: MemberPages }> {
  if (!portable && removed.size === 0) return { notes: null, pages: members };
  const names = new PortableNames();
  /** Of the archive's first level, those that could be the name of the notes. */
  const near = new Set<string>();
  for await (const page of members()) {
    names.settle(SETTLED_AT_ONCE);
    for (const { path } of page) {
      if (portable) names.add(path);
      const [first = ''] = path.split('/', 1);
      if (foldedName(first).startsWith(NOTES.name)) near.add(first);
    }
  }
  names.end();
  // Of a folder with a million names that differ by case, others get their turns.
  while (!names.settle(SETTLED_AT_ONCE)) await nextTurn();
  const pages: MemberPages = names.changesNothing ? members : mapped(members, names);
  if (names.changesNothing && removed.size === 0) return { notes: null, pages };
  const make = () => notes(pkg.id, removed, names.changesNothing ? null : { members, names });
  const path = freeName(new Set([...near].map((name) => foldedName(names.of(name)))));
  return { notes: await madeMember(path, make, secondsOf(pkg.finalized_at ?? pkg.created_at)), pages };
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

/** @param taken folded names of the archive's first level */
function freeName(taken: ReadonlySet<string>): string {
  let name = `${NOTES.name}${NOTES.ending}`;
  for (let nth = 2; taken.has(name); nth += 1) name = `${NOTES.name}~${nth}${NOTES.ending}`;
  return name;
}
