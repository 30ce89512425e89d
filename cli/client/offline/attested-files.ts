import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Digest, digestFromHex } from '../../../src/core/digest.ts';
import { comparePaths, pathProblem } from '../../../src/core/logical-path.ts';
import { ManifestError, readManifest } from '../../../src/core/read-manifest.ts';
import { MANIFEST_NAME, type Statement, type Subject } from '../../../src/core/statement.ts';
import { CliError, EXIT, usageError } from '../../errors.ts';
import { invalidAttestation, readChunks } from './read-inputs.ts';

/** A file that a package had when it was finalized. */
export interface AttestedFile {
  path: string;
  /** 64 hex digits. */
  sha256: string;
}

/** Each once, in the order of their paths' UTF-8 bytes, in pages. */
export type AttestedFiles = AsyncIterable<readonly AttestedFile[]>;

/** Where the names of the files are. */
export interface ListSource {
  /** The file, for messages. */
  attestation: string;
  statement: Statement;
  /** The file that holds the manifest, should it be given: then it is the one that the statement names. */
  manifest: string | null;
}

/**
 * The files that a statement names: itself, or by its manifest, which is read as it comes and twice: hashed first, so that
 * no other one is believed, and not in memory while the directory is read.
 * @throws CliError wrong_usage when the manifest is needed and not given; digest_mismatch when it is another one;
 *   attestation_invalid for a path that is none
 */
export async function attestedFiles({ attestation, statement, manifest }: ListSource): Promise<AttestedFiles> {
  const { subject, predicate } = statement;
  const sealed = digestFromHex(predicate.manifest.sha256);
  const [first] = subject;
  if (predicate.subjects === 'manifest') {
    const isManifest = first?.name === MANIFEST_NAME && first.digest.sha256 === predicate.manifest.sha256;
    if (subject.length !== 1 || !isManifest)
      throw invalidAttestation(attestation, 'names another subject than its manifest');
    if (manifest === null) throw usageError(NO_MANIFEST, HOW_MANIFEST);
  }
  if (manifest !== null) await assertDigest(manifest, sealed);
  if (predicate.subjects === 'files') return sortedSubjects(attestation, subject);
  return manifestPages(manifest as string, sealed);
}

/** What a statement lists is in no order that must be kept. */
async function* sortedSubjects(attestation: string, subject: readonly Subject[]): AsyncGenerator<AttestedFile[]> {
  const files = subject.map(({ name, digest }) => ({ path: name, sha256: digest.sha256 }));
  for (const { path } of files) {
    const problem = pathProblem(path);
    if (problem !== null) throw invalidAttestation(attestation, `names ${JSON.stringify(path)}, which ${problem}`);
  }
  files.sort((a, b) => comparePaths(a.path, b.path));
  for (const [index, { path }] of files.entries()) {
    if (path === files[index + 1]?.path) throw invalidAttestation(attestation, `names ${JSON.stringify(path)} twice`);
  }
  yield files;
}

async function* manifestPages(manifest: string, sealed: Digest): AsyncGenerator<AttestedFile[]> {
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of readChunks('--manifest', manifest)) {
      hash.update(chunk);
      yield chunk;
    }
  }
  try {
    for await (const page of readManifest(hashed())) {
      yield page;
      await nextTurn();
    }
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw otherManifest(manifest, error.message, { manifest_digest: sealed }, error);
  }
  const digest = digestFromHex(hash.digest('hex'));
  if (digest !== sealed)
    throw otherManifest(manifest, 'changed while it was read', { digest, manifest_digest: sealed });
}

/** @throws CliError wrong_usage, digest_mismatch */
async function assertDigest(manifest: string, sealed: Digest): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of readChunks('--manifest', manifest)) hash.update(chunk);
  const digest = digestFromHex(hash.digest('hex'));
  if (digest === sealed) return;
  const why = `has the digest ${digest}, and the attestation names ${sealed}`;
  throw otherManifest(manifest, why, { digest, manifest_digest: sealed });
}

/** @param why half a sentence */
function otherManifest(file: string, why: string, extras: Record<string, string>, cause?: unknown): CliError {
  return new CliError(`The manifest ${JSON.stringify(file)} ${why}.`, {
    exit: EXIT.integrity,
    code: 'digest_mismatch',
    extras: { manifest: file, ...extras },
    cause,
  });
}

const NO_MANIFEST = 'The attestation names the package by its manifest alone: add --manifest FILE.';
const HOW_MANIFEST = 'Write it with `artifact-store manifest PACKAGE > manifest.json`.';
