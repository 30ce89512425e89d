import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BagField, parseBagInfo, valuesOf } from '../../src/core/bag-info.ts';
import { payloadOxum } from '../../src/core/bag-layout.ts';
import { bagManifestName, DECLARATION_FILE, FETCH_FILE, INFO_FILE, PAYLOAD_FOLDER } from '../../src/core/bag-names.ts';
import type { FileList } from '../client/tree/file-list.ts';
import { assertSame, type WalkOptions, walk } from '../client/tree/walk.ts';
import { CliError, usageError } from '../errors.ts';
import type { ProgressReport } from '../progress.ts';
import { isBroken, isKnownAlgorithm, type ManifestFile } from './bag-manifest.ts';
import { BagDamages, badBag } from './bag-problems.ts';
import { type BagDeclaration, parseDeclaration } from './declaration.ts';
import { type HashProgress, hashListed } from './hash-bag.ts';
import { type ListedFiles, readListed } from './listed-files.ts';
import { tagLines } from './tag-lines.ts';

/** A bag that was found to be whole and unchanged. */
export interface CheckedBag {
  declaration: BagDeclaration;
  /** Every file in it, payload and tags, in the order of their paths. */
  files: FileList;
  info: BagField[];
  /** Of the payload manifests. */
  algorithms: string[];
  /** For people. */
  warnings: string[];
  /** It is still what was checked. @throws CliError file_changed */
  lookAgain(): Promise<void>;
}

const DECLARATION_MAX_BYTES = 4_096;
const PAYLOAD = `${PAYLOAD_FOLDER}/`;

/**
 * Reads the whole bag and holds it against all that it says of itself (RFC 8493, 3): every file of every manifest that can be checked,
 * payload and tags; nothing missing, nothing unlisted; Payload-Oxum. Nothing outside the directory is ever opened.
 * @throws CliError bag_invalid, integrity_failure, file_refused, file_unreadable, invalid_path, path_conflict, file_changed
 */
export async function readBag(
  directory: string,
  { signal, watch }: { signal: AbortSignal; watch?: ((report: () => ProgressReport) => void) | undefined },
): Promise<CheckedBag> {
  const declaration = await readDeclaration(directory);
  const options: WalkOptions = { symlinks: 'refuse', special: 'refuse', signal };
  const files = await walk(directory, options).catch(inBagWords);
  await assertShape(directory, files);
  const manifests = manifestsOf(files);
  const { known, warnings } = sorted(manifests);
  const damages = new BagDamages();
  const lists: ListedFiles[] = [];
  for (const manifest of known) lists.push(await readListed(files, manifest, declaration));
  warnings.push(...lists.flatMap((list) => list.warnings));
  for (const { manifest, missing } of lists) {
    for (const path of missing)
      damages.add({
        path,
        how: 'missing',
        detail: `${JSON.stringify(path)} is missing, and ${manifest.name} lists it.`,
      });
  }
  findUnlisted(files, lists, declaration, damages);
  const info = await readInfo(files, declaration);
  compareTotals(files, info, damages);
  const done: HashProgress = { files: 0, bytes: 0 };
  watch?.(() => ({ phase: 'checking', ...done, totalFiles: files.length, totalBytes: files.totalBytes }));
  await hashListed(files, lists, { damages, signal, done });
  damages.assertNone();
  const payload = known.filter(({ lists: what }) => what === 'payload');
  const algorithms = payload.map(({ algorithm }) => algorithm);
  return { declaration, files, info, algorithms, warnings, lookAgain: () => assertSame(files, options) };
}

async function readDeclaration(directory: string): Promise<BagDeclaration> {
  const stats = await stat(directory).catch(() => null);
  if (stats === null) throw usageError(`${JSON.stringify(directory)} does not exist.`);
  if (!stats.isDirectory()) throw usageError(`${JSON.stringify(directory)} is neither a folder nor a ZIP file.`);
  const file = join(directory, DECLARATION_FILE);
  const found = await stat(file).catch(() => null);
  if (!found?.isFile()) throw badBag(`${JSON.stringify(directory)} has no ${DECLARATION_FILE}: it is no bag.`);
  if (found.size > DECLARATION_MAX_BYTES) throw badBag(`${DECLARATION_FILE} has more than two lines.`);
  return parseDeclaration(await readFile(file));
}

/** A bag is taken whole or not at all: what helps with other folders does not help here. */
function inBagWords(error: unknown): never {
  if (!(error instanceof CliError) || error.code === 'wrong_usage') throw error;
  const { message, exit, code, extras } = error;
  throw new CliError(message, {
    exit,
    code,
    extras,
    next: 'A bag is taken whole or not at all: it must be made anew.',
  });
}

async function assertShape(directory: string, files: FileList): Promise<void> {
  if (files.indexOf(FETCH_FILE) !== -1) {
    throw badBag(
      `The bag has a ${FETCH_FILE}: some of its files are elsewhere, and nothing is fetched from there.`,
      `Fetch them into the bag with the tool that made it, and remove ${FETCH_FILE} from the bag and its tag manifests.`,
    );
  }
  const folder = await stat(join(directory, PAYLOAD_FOLDER)).catch(() => null);
  if (!folder?.isDirectory()) throw badBag(`The bag has no folder ${PAYLOAD}: it has no payload.`);
}

function manifestsOf(files: FileList): ManifestFile[] {
  const found: ManifestFile[] = [];
  for (const { path: name } of files) {
    const manifest = name.includes('/') ? null : bagManifestName(name);
    if (manifest !== null) found.push({ name, ...manifest });
  }
  return found;
}

/** @throws CliError bag_invalid: nothing says what the payload must be, or nothing that can be checked */
function sorted(manifests: readonly ManifestFile[]): { known: ManifestFile[]; warnings: string[] } {
  const known = manifests.filter(({ algorithm }) => isKnownAlgorithm(algorithm));
  const payload = known.filter(({ lists }) => lists === 'payload');
  if (payload.length === 0) {
    const others = manifests.map(({ name }) => name).join(', ');
    const why = others === '' ? '' : `, but ${others}`;
    throw badBag(`The bag has no payload manifest of md5, sha1, sha224, sha256, sha384 or sha512${why}.`);
  }
  const warnings = manifests
    .filter((manifest) => !known.includes(manifest))
    .map(({ name }) => `${name} was not checked: its algorithm is not known here.`);
  if (payload.every(({ algorithm }) => isBroken(algorithm))) {
    const names = payload.map(({ algorithm }) => algorithm).join(' and ');
    warnings.push(
      `the bag has ${names} digests alone, which show accidents but not what was changed on purpose; from here on SHA-256 counts.`,
    );
  }
  return { known, warnings };
}

/** From version 1.0 on every payload manifest lists all of the payload; before, each file stood in some manifest. */
function findUnlisted(
  files: FileList,
  lists: readonly ListedFiles[],
  { isFinal }: BagDeclaration,
  damages: BagDamages,
): void {
  const payload = lists.filter(({ manifest }) => manifest.lists === 'payload');
  for (let index = 0; index < files.length; index += 1) {
    const path = files.path(index);
    if (!path.startsWith(PAYLOAD)) continue;
    const without = payload.filter(({ digests }) => !digests.has(index));
    if (without.length === 0 || (!isFinal && without.length < payload.length)) continue;
    const names = without.map(({ manifest }) => manifest.name).join(' and ');
    damages.add({
      path,
      how: 'unlisted',
      detail: `${JSON.stringify(path)} is in the bag, and ${names} does not list it.`,
    });
  }
}

async function readInfo(files: FileList, { encoding }: BagDeclaration): Promise<BagField[]> {
  const index = files.indexOf(INFO_FILE);
  if (index === -1) return [];
  const lines: string[] = [];
  for await (const line of tagLines(files.absolute(index), INFO_FILE, encoding)) lines.push(line);
  const fields = parseBagInfo(lines);
  if (typeof fields !== 'number') return fields;
  throw badBag(`${INFO_FILE}, line ${fields}: it is not such as "Label: value".`);
}

function compareTotals(files: FileList, info: readonly BagField[], damages: BagDamages): void {
  const [said, ...more] = valuesOf(info, 'Payload-Oxum');
  if (said === undefined) return;
  if (more.length > 0) throw badBag(`${INFO_FILE} has more than one Payload-Oxum.`);
  const totals = { files: 0, bytes: 0 };
  for (let index = 0; index < files.length; index += 1) {
    if (!files.path(index).startsWith(PAYLOAD)) continue;
    totals.files += 1;
    totals.bytes += files.size(index);
  }
  const is = payloadOxum(totals);
  if (is === said) return;
  damages.add({
    path: INFO_FILE,
    how: 'wrong_total',
    detail: `The payload has the Payload-Oxum ${is}, and ${INFO_FILE} says ${said}.`,
  });
}
