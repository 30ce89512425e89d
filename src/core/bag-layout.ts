import { type BagField, bagInfoText, fieldsOfMember, valuesOf } from './bag-info.ts';
import { isBagsOwnFile, PAYLOAD_FOLDER } from './bag-names.ts';
import type { JsonObject } from './canonical-json.ts';
import { portableName } from './portable-names.ts';

/**
 * A package as a bag (RFC 8493, version 1.0): what it says of itself, and where each file of the package stands in it. The same package
 * gives the same bytes.
 */
export interface BaggedPackage {
  id: string;
  name: string;
  producer: string;
  subject: string | null;
  external_id: string | null;
  metadata: JsonObject;
  retention_class: string;
  manifest_digest: string;
  /** ms */
  finalized_at: number;
}

const FOLDER_MAX_BYTES = 200;

/** What the bag's folder in an archive is called: as the package is, as far as any system can hold that. */
export function bagFolder({ name }: Pick<BaggedPackage, 'name'>): string {
  let [folder, bytes] = ['', 0];
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > FOLDER_MAX_BYTES) break;
    folder += character;
  }
  return portableName(folder);
}

/** The member of a package's metadata that says that it came as a bag. */
export const BAG_MEMBER = 'bagit';
/** What of an ingested bag is kept in it, and no more is relied upon. */
export interface BagMember {
  version: string;
  encoding: string;
  /** Of the payload manifests that were checked. */
  algorithms: string[];
  /** The folder of the package that holds the bag's tag files. */
  tag_folder: string;
  info: JsonObject;
}

/** What this software adds to a bag: the package's manifest, its attestation, its notes, and tag files of the bag that it came as. */
export const OWN_FOLDER = 'artifact-store';
const INGESTED_FOLDER = `${OWN_FOLDER}/ingested`;

export const MANIFEST_FILE = 'manifest-sha256.txt';
export const TAG_MANIFEST_FILE = 'tagmanifest-sha256.txt';
export const BAG_DECLARATION = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n';

/** Where a file of the package stands in its bag. */
export type PlacedInBag = { path: string; isPayload: boolean };

/**
 * Files of a package that came as a bag, and were its tag files there, are tag files again, so that the payload is what it was. They
 * stand where that bag had them, if this one has no own file of that name.
 * @returns asked for a file by its path in the package, and by the name that it gets
 */
export function bagPlaces({ metadata }: Pick<BaggedPackage, 'metadata'>): (file: string, name: string) => PlacedInBag {
  const folder = tagFolderOf(metadata);
  return (file, name) => {
    if (folder === null || !file.startsWith(`${folder}/`))
      return { path: `${PAYLOAD_FOLDER}/${name}`, isPayload: true };
    const tag = name.slice(name.indexOf('/') + 1);
    const [first = ''] = tag.toLowerCase().split('/', 1);
    const isTaken = isBagsOwnFile(tag) || first === PAYLOAD_FOLDER || first === OWN_FOLDER;
    return { path: isTaken ? `${INGESTED_FOLDER}/${tag}` : tag, isPayload: false };
  };
}

function bagMemberOf(metadata: JsonObject): JsonObject | null {
  const member = metadata[BAG_MEMBER];
  return typeof member === 'object' && member !== null && !Array.isArray(member) ? member : null;
}

/** Of a package that came as a bag; null: it did not. */
function tagFolderOf(metadata: JsonObject): string | null {
  const folder = bagMemberOf(metadata)?.tag_folder;
  return typeof folder === 'string' && folder !== '' && !folder.includes('/') ? folder : null;
}

export interface PayloadTotals {
  files: number;
  /** Octets. */
  bytes: number;
}

/** RFC 8493, 2.2.2: octets and number of files. */
export function payloadOxum({ files, bytes }: PayloadTotals): string {
  return `${bytes}.${files}`;
}

/** Labels of fields that say what this bag is: the one that the package came as said it of itself. */
const OWN_LABELS = new Set([
  'bagging-date',
  'payload-oxum',
  'bag-size',
  'bag-software-agent',
  'bag-group-identifier',
  'bag-count',
]);
const OWN_PREFIX = 'artifact-store-';

/**
 * The text of bag-info.txt: what the package is, then what the bag that it came as said of its content.
 * @param selection the glob by which files were chosen; null: all
 */
export function bagInfo(pkg: BaggedPackage, payload: PayloadTotals, selection: string | null): string {
  const came = fieldsOfMember(bagMemberOf(pkg.metadata)?.info);
  const fields: BagField[] = [];
  const add = (label: string, value: string | null): void => {
    if (value !== null) fields.push({ label, value });
  };
  if (valuesOf(came, 'Source-Organization').length === 0) add('Source-Organization', pkg.producer);
  if (!valuesOf(came, 'External-Identifier').includes(pkg.external_id ?? ''))
    add('External-Identifier', pkg.external_id);
  if (valuesOf(came, 'External-Description').length === 0)
    add('External-Description', pkg.subject === null ? pkg.name : `${pkg.name}: ${pkg.subject}`);
  add('Bagging-Date', new Date(pkg.finalized_at).toISOString().slice(0, 10));
  add('Bag-Software-Agent', 'artifact-store');
  add('Payload-Oxum', payloadOxum(payload));
  add('Artifact-Store-Package', pkg.id);
  add('Artifact-Store-Name', pkg.name);
  add('Artifact-Store-Producer', pkg.producer);
  add('Artifact-Store-Subject', pkg.subject);
  add('Artifact-Store-Manifest', pkg.manifest_digest);
  add('Artifact-Store-Finalized', new Date(pkg.finalized_at).toISOString());
  add('Artifact-Store-Retention-Class', pkg.retention_class);
  add('Artifact-Store-Selection', selection);
  for (const field of came) {
    const label = field.label.toLowerCase();
    if (!OWN_LABELS.has(label) && !label.startsWith(OWN_PREFIX)) fields.push(field);
  }
  return bagInfoText(fields);
}
