import type { ArchiveMember, MemberPages } from '../core/archive.ts';
import {
  BAG_DECLARATION,
  type BaggedPackage,
  bagInfo,
  bagPlaces,
  MANIFEST_FILE,
  OWN_FOLDER,
  type PayloadTotals,
  TAG_MANIFEST_FILE,
} from '../core/bag-layout.ts';
import { bagManifestLine, DECLARATION_FILE, INFO_FILE } from '../core/bag-names.ts';
import { digestHex } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { type Make, madeMember } from './made-member.ts';
import type { Readability } from './read-file.ts';

/** Lines that are put together into one piece. */
const LINES = 500;

export interface BagContent {
  pkg: BaggedPackage;
  /** The files that were chosen, under the names that they get. */
  pages: MemberPages;
  notes: ArchiveMember | null;
  /** The glob by which files were chosen; null: all. */
  selection: string | null;
  manifest: Readability;
  attestation: Readability;
  /** The folder in the archive that is the bag. */
  folder: string;
  /** Of what is made for the bag; seconds since 1970. */
  modifiedAt: number;
}

/**
 * A package's members as those of a bag, tag files first. Reads all names four times, and keeps none of them: of the lists only size
 * and digest are known before they are written.
 * @throws StoreError file_not_found: a bag has a payload folder, which no archive holds without a file in it
 */
export async function bagMembers(content: BagContent): Promise<MemberPages> {
  const { pkg, pages, selection, folder, modifiedAt } = content;
  const place = bagPlaces(pkg);
  const placed: MemberPages = async function* placedPages() {
    for await (const page of pages())
      yield page.map((member) => ({ ...member, ...place(fileOf(member), member.path) }));
  };
  const payload: PayloadTotals = { files: 0, bytes: 0 };
  for await (const page of placed()) {
    for (const member of page) {
      if (!isPayload(member)) continue;
      payload.files += 1;
      payload.bytes += member.size;
    }
  }
  if (payload.files === 0) {
    const detail = `None of the chosen files of ${pkg.id} is payload, but tag files alone: a bag has both.`;
    throw new StoreError('file_not_found', detail, selection === null ? {} : { path: selection });
  }
  const made = (path: string, make: Make) => madeMember(path, make, modifiedAt);
  const text = (path: string, words: string) => made(path, () => [Buffer.from(words)]);
  const tags = [
    await text(DECLARATION_FILE, BAG_DECLARATION),
    await text(INFO_FILE, bagInfo(pkg, payload, selection)),
    await made(MANIFEST_FILE, () => manifestLines(placed, isPayload)),
    storedMember(`${OWN_FOLDER}/manifest.json`, content.manifest, modifiedAt),
    storedMember(`${OWN_FOLDER}/attestation.json`, content.attestation, modifiedAt),
    ...(content.notes === null ? [] : [{ ...content.notes, path: `${OWN_FOLDER}/notes.json` }]),
  ];
  const tagManifest = await made(TAG_MANIFEST_FILE, async function* lines() {
    yield Buffer.from(tags.map(lineOf).join(''));
    yield* manifestLines(placed, (member) => !isPayload(member));
  });
  return async function* bag() {
    for await (const page of joined([...tags, tagManifest], placed))
      yield page.map((member) => ({ ...member, path: `${folder}/${member.path}` }));
  };
}

async function* joined(first: ArchiveMember[], rest: MemberPages): AsyncGenerator<readonly ArchiveMember[]> {
  yield first;
  yield* rest();
}

function fileOf({ path, source }: ArchiveMember): string {
  return 'file' in source ? source.file : path;
}

function isPayload(member: ArchiveMember & { isPayload?: boolean }): boolean {
  return member.isPayload === true;
}

function lineOf({ path, digest }: ArchiveMember): string {
  return bagManifestLine(digestHex(digest), path);
}

async function* manifestLines(
  members: MemberPages,
  isWanted: (member: ArchiveMember) => boolean,
): AsyncGenerator<Buffer> {
  for await (const page of members()) {
    const wanted = page.filter(isWanted);
    for (let at = 0; at < wanted.length; at += LINES)
      yield Buffer.from(
        wanted
          .slice(at, at + LINES)
          .map(lineOf)
          .join(''),
      );
  }
}

/** What storage has beside the package's files, checked as it is read. */
function storedMember(path: string, { digest, size, openWhole }: Readability, modifiedAt: number): ArchiveMember {
  const make = async function* bytes(): AsyncGenerator<Uint8Array> {
    const content = await openWhole();
    if (Buffer.isBuffer(content)) yield content;
    else yield* content as AsyncIterable<Uint8Array>;
  };
  return { path, size, digest, executable: false, modifiedAt, source: { make } };
}
