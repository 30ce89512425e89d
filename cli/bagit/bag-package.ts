import { bagInfoMember, valuesOf } from '../../src/core/bag-info.ts';
import { BAG_MEMBER, type BagMember } from '../../src/core/bag-layout.ts';
import { PAYLOAD_FOLDER } from '../../src/core/bag-names.ts';
import { canonicalJson, type JsonObject } from '../../src/core/canonical-json.ts';
import { comparePaths } from '../../src/core/logical-path.ts';
import { TEXT_MAX, textProblem } from '../../src/core/text-problem.ts';
import { FileList } from '../client/tree/file-list.ts';
import type { CheckedBag } from './read-bag.ts';

const PAYLOAD = `${PAYLOAD_FOLDER}/`;
const TAG_FOLDER = '.bagit';
/** Of the 256 KiB that metadata may have. */
const INFO_MAX_BYTES = 128 * 1024;
const INFO_MAX_FIELDS = 5_000;

/** What a bag is as a package. */
export interface BagPackage {
  files: FileList;
  metadata: JsonObject;
  externalId: string | undefined;
  notes: string[];
}

/**
 * The payload under its own paths, without `data/`; the tag files as they are, in a folder beside it, so that no byte of the bag is lost
 * and an export as a bag has the same payload.
 */
export function packageOf({ files, declaration, info, algorithms }: CheckedBag): BagPackage {
  const notes: string[] = [];
  const folder = freeFolder(files);
  const member = bagInfoMember(info);
  const isLong = info.length > INFO_MAX_FIELDS || Buffer.byteLength(canonicalJson(member)) > INFO_MAX_BYTES;
  if (isLong) notes.push('bag-info.txt is too long for the metadata: it is kept as a file.');
  const { version, encoding } = declaration;
  const bag: BagMember = { version, encoding, algorithms, tag_folder: folder, info: isLong ? {} : member };
  return { files: packageFiles(files, folder), metadata: { [BAG_MEMBER]: { ...bag } }, externalId: idOf(), notes };

  function idOf(): string | undefined {
    const ids = valuesOf(info, 'External-Identifier');
    const [id] = ids;
    if (ids.length === 1 && id !== undefined && textProblem(id, TEXT_MAX.externalId) === null) return id;
    if (ids.length > 0) notes.push('the bag has no single External-Identifier that a package can have: none is taken.');
    return undefined;
  }
}

/** A folder that the payload does not have, in no writing. */
function freeFolder(files: FileList): string {
  const taken = new Set<string>();
  for (const { path } of files) {
    if (path.startsWith(PAYLOAD)) taken.add((path.split('/', 2)[1] as string).toLowerCase());
  }
  let name = TAG_FOLDER;
  for (let nth = 2; taken.has(name); nth += 1) name = `${TAG_FOLDER}~${nth}`;
  return name;
}

function packageFiles(bag: FileList, folder: string): FileList {
  const places = Array.from({ length: bag.length }, (_, index) => {
    const path = bag.path(index);
    return { index, path: path.startsWith(PAYLOAD) ? path.slice(PAYLOAD.length) : `${folder}/${path}` };
  });
  places.sort((a, b) => comparePaths(a.path, b.path));
  const files = new FileList(`${bag.root}/${PAYLOAD_FOLDER}`);
  for (const { index, path } of places) files.add(path, bag.absolute(index), bag.stats(index));
  return files;
}
