import { bagManifestName, decodeBagPath, PAYLOAD_FOLDER } from '../../src/core/bag-names.ts';
import { pathProblem } from '../../src/core/logical-path.ts';
import { badBag } from './bag-problems.ts';
import type { BagDeclaration } from './declaration.ts';

/** Algorithms by their names in BagIt, and the hex digits of their digests. */
const DIGITS: ReadonlyMap<string, number> = new Map([
  ['md5', 32],
  ['sha1', 40],
  ['sha224', 56],
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** They show accidents, but whoever wants to can make other bytes with the same digest. */
const BROKEN: ReadonlySet<string> = new Set(['md5', 'sha1']);

export function isKnownAlgorithm(name: string): boolean {
  return DIGITS.has(name);
}

export function isBroken(algorithm: string): boolean {
  return BROKEN.has(algorithm);
}

/** One of a bag's manifests. */
export interface ManifestFile {
  name: string;
  lists: 'payload' | 'tags';
  algorithm: string;
}

export interface ManifestEntry {
  /** In the bag. */
  path: string;
  /** Lower-case hex. */
  digest: string;
}

const LINE = /^([0-9A-Fa-f]+)[ \t]+(.*)$/;

/** One line of a manifest; null: it is empty. @throws CliError bag_invalid, also for a path that leads out of the bag */
export function parseManifestLine(
  line: string,
  number: number,
  { name, lists, algorithm }: ManifestFile,
  { isFinal }: BagDeclaration,
): ManifestEntry | null {
  if (line.trim() === '') return null;
  const wrong = (why: string) => badBag(`${name}, line ${number}: ${why}.`);
  const [, digest = '', written = ''] = LINE.exec(line) ?? [];
  if (digest.length !== DIGITS.get(algorithm) || written === '')
    throw wrong(`it is not a ${algorithm} digest and a file`);
  // md5sum and its like mark files that were read as bytes, and repeat how they were named.
  const plain = written.replace(/^\*/, '').replace(/^(?:\.\/)+/, '');
  const path = decodeBagPath(plain, { encodesPercent: isFinal });
  const problem = outside(path);
  if (problem !== null) throw wrong(`the path ${JSON.stringify(path)} ${problem}`);
  const isPayload = path.startsWith(`${PAYLOAD_FOLDER}/`);
  if (lists === 'payload' && !isPayload)
    throw wrong(`${JSON.stringify(path)} is no payload: that is in ${PAYLOAD_FOLDER}/`);
  if (lists === 'tags' && (isPayload || bagManifestName(path)?.lists === 'tags'))
    throw wrong(`${JSON.stringify(path)} is nothing that a tag manifest lists`);
  return { path, digest: digest.toLowerCase() };
}

/** Why a path does not lead to a file inside the bag, or to none that a package can hold. */
function outside(path: string): string | null {
  if (path.startsWith('~')) return 'begins with ~, which means a home folder';
  if (/^[A-Za-z]:/.test(path) || path.startsWith('\\')) return 'is absolute on Windows';
  return pathProblem(path)?.replace('paths are relative to the package', 'paths are relative to the bag') ?? null;
}
