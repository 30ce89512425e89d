import { createHash } from 'node:crypto';
import type { ObjectReader, ObjectRef, WrittenObject } from '../blobs/blob-store.ts';
import {
  attestationKey,
  decisionKey,
  manifestKey,
  type ObjectKey,
  ownerOf,
  PACKAGES_PREFIX,
} from '../blobs/key-layout.ts';
import { DECISION_MAX_BYTES, type Decision, parseDecision } from '../core/decision.ts';
import { type Digest, digestFromBytes, digestHex, digestOf } from '../core/digest.ts';
import { EnvelopeError, parseEnvelope } from '../core/dsse.ts';
import type { PackageId } from '../core/ids.ts';
import type { ManifestFile, ManifestPackage } from '../core/manifest.ts';
import { ManifestError, readManifest } from '../core/read-manifest.ts';
import type { PublicKey } from '../core/signing-key.ts';
import { ENVELOPE_MAX_BYTES, openStatement } from '../core/statement.ts';
import { mapLimit } from './map-limit.ts';
import { readSmall } from './read-small.ts';
import { versionOf } from './version-of.ts';

/** What the store has of one package, by its keys. */
export interface PackageKeys {
  id: PackageId;
  hasManifest: boolean;
  hasAttestation: boolean;
  decisionIds: string[];
  /** By their keys, where the list says them. */
  versions: Map<ObjectKey, string>;
}

/** What the store says of one package. */
export interface StoredPackage {
  id: PackageId;
  /** Null: there is none, or it is damaged. */
  manifest: StoredManifest | null;
  /** Why it cannot be used, as half a sentence; null: it can, or there is none. */
  damage: string | null;
  decisions: Decision[];
  /** Of their objects, by the ids of decisions, where storage keeps versions. */
  decisionVersions: Map<string, string>;
  /** Keys of decisions that cannot be read. */
  unreadable: string[];
}

export interface StoredManifest {
  package: ManifestPackage;
  /** Null: storage keeps no versions. */
  versionId: string | null;
  digest: Digest;
  size: number;
  file_count: number;
  total_size: number;
  /** Its files, in pages; any number of times. */
  pages(): AsyncIterable<ManifestFile[]>;
}

const DECISIONS_AT_ONCE = 4;
/** Files of one manifest that are kept in memory, so that it is read once. */
const KEPT_FILES = 5_000;

/** The packages of a store, in the order of their ids. @param after only those behind this one */
export async function* listStoredPackages(objects: ObjectReader, after = ''): AsyncGenerator<PackageKeys> {
  let found = null as PackageKeys | null;
  for await (const { key, versionId } of objects.list(PACKAGES_PREFIX)) {
    const owner = ownerOf(key);
    if (owner === null || owner.kind === 'blob' || owner.packageId <= after) continue;
    if (found?.id !== owner.packageId) {
      if (found !== null) yield found;
      found = { id: owner.packageId, hasManifest: false, hasAttestation: false, decisionIds: [], versions: new Map() };
    }
    if (versionId !== null) found.versions.set(key, versionId);
    if (owner.kind === 'manifest') found.hasManifest = true;
    else if (owner.kind === 'attestation') found.hasAttestation = true;
    else if (owner.kind === 'decision') found.decisionIds.push(owner.decisionId);
  }
  if (found !== null) yield found;
}

/** @throws StoreError when storage does not answer, which says nothing of the package */
export async function readStoredPackage(objects: ObjectReader, keys: PackageKeys): Promise<StoredPackage> {
  const { id, hasManifest, decisionIds, versions } = keys;
  const named = async (key: ObjectKey): Promise<string | null> =>
    versionOf(objects, { key, versionId: versions.get(key) ?? null });
  const decisionVersions: StoredPackage['decisionVersions'] = new Map();
  const unreadable: string[] = [];
  const read = await mapLimit(decisionIds, DECISIONS_AT_ONCE, async (decisionId) => {
    const key = decisionKey(id, decisionId);
    const versionId = await named(key);
    if (versionId !== null) decisionVersions.set(decisionId, versionId);
    const decision = parseDecision(await readSmall(objects, key, DECISION_MAX_BYTES, versionId));
    if (decision?.id === decisionId && decision.package_id === id) return decision;
    unreadable.push(key);
    return null;
  });
  const decisions = read.filter((decision) => decision !== null);
  const stored = { id, manifest: null, damage: null, decisions, decisionVersions, unreadable: unreadable.toSorted() };
  if (!hasManifest) return stored;
  try {
    const manifest = await readWhole(objects, id, await named(manifestKey(id)));
    const sealed = decisions.find(({ manifest_digest }) => manifest_digest !== undefined)?.manifest_digest;
    if (sealed === undefined || sealed === manifest.digest) return { ...stored, manifest };
    return { ...stored, damage: `has the digest ${manifest.digest}, and was sealed with ${sealed}` };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return { ...stored, damage: error.message };
  }
}

/** @throws ManifestError */
async function readWhole(objects: ObjectReader, id: PackageId, versionId: string | null): Promise<StoredManifest> {
  const hash = createHash('sha256');
  let size = 0;
  const ref = { key: manifestKey(id), versionId };
  const files = readPages(objects, ref, (chunk) => {
    hash.update(chunk);
    size += chunk.length;
  });
  let kept: ManifestFile[][] | null = [];
  let [count, total] = [0, 0];
  let page = await files.next();
  for (; !page.done; page = await files.next()) {
    count += page.value.length;
    for (const file of page.value) total += file.size;
    if (count > KEPT_FILES) kept = null;
    kept?.push(page.value);
  }
  const said = page.value;
  if (said.id !== id) throw new ManifestError(`is that of ${said.id}`);
  const pages = kept;
  return {
    package: said,
    versionId,
    digest: digestFromBytes(hash.digest()),
    size,
    file_count: count,
    total_size: total,
    pages: () => (pages === null ? again(objects, ref) : every(pages)),
  };
}

/**
 * What the service signed of a package. Null: nothing, or it is of something else, or nobody known has signed it: the service signs
 * again. @param signers whose signatures count
 */
export async function readStoredAttestation(
  objects: ObjectReader,
  { id, hasAttestation, versions }: PackageKeys,
  { digest }: StoredManifest,
  signers: readonly PublicKey[],
): Promise<WrittenObject | null> {
  if (!hasAttestation) return null;
  const key = attestationKey(id);
  const versionId = await versionOf(objects, { key, versionId: versions.get(key) ?? null });
  const bytes = await readSmall(objects, key, ENVELOPE_MAX_BYTES, versionId);
  try {
    const { predicate } = openStatement(parseEnvelope(bytes), signers).statement;
    if (predicate.package.id !== id || predicate.manifest.sha256 !== digestHex(digest)) return null;
    return { digest: digestOf(bytes), size: bytes.length, versionId };
  } catch (error) {
    if (error instanceof EnvelopeError) return null;
    throw error;
  }
}

async function* readPages(
  objects: ObjectReader,
  ref: ObjectRef,
  take: (chunk: Uint8Array) => void,
): AsyncGenerator<ManifestFile[], ManifestPackage, undefined> {
  const stream = await objects.open(ref);
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      take(chunk);
      yield chunk;
    }
  };
  try {
    return yield* readManifest(bytes());
  } finally {
    stream.destroy();
  }
}

async function* again(objects: ObjectReader, ref: ObjectRef): AsyncGenerator<ManifestFile[]> {
  yield* readPages(objects, ref, () => {});
}

async function* every(pages: readonly ManifestFile[][]): AsyncGenerator<ManifestFile[]> {
  yield* pages;
}
