import type { WrittenObject } from '../blobs/blob-store.ts';
import { attestationKey, decisionKey, manifestKey } from '../blobs/key-layout.ts';
import { digestFromHex } from '../core/digest.ts';
import { derivedId, type PackageId } from '../core/ids.ts';
import { type LogicalPath, parseLogicalPath } from '../core/logical-path.ts';
import type { ManifestFile, ManifestPackage } from '../core/manifest.ts';
import { canonicalMetadata } from '../core/metadata.ts';
import { type PackageHistory, retell } from '../core/package-history.ts';
import { name, type RebuildReport } from '../core/rebuild-report.ts';
import { classOf, type RetentionClasses } from '../core/retention.ts';
import type { PutFile } from '../registry/files.ts';
import type { Tables } from '../registry/registry.ts';
import { addAttestation } from './attest.ts';
import { countExpiring, expiringGroups } from './count-expiring.ts';
import { inOrder } from './in-order.ts';
import type { Rebuild } from './rebuild-run.ts';
import { knownKeys } from './signing-keys.ts';
import {
  listStoredPackages,
  readStoredAttestation,
  readStoredPackage,
  type StoredManifest,
  type StoredPackage,
} from './stored-packages.ts';

/** How many packages are read from storage at once. */
const READ_AT_ONCE = 8;
/** Of one transaction: the smaller of both. */
const FILES = 5_000;
const PACKAGES = 200;
/** Files of one statement. */
const PUT = 2_000;

/** With what the service signed of it. */
type FoundPackage = StoredPackage & { attestation: WrittenObject | null };

/**
 * Stage 1: every package that the store has a manifest of, with all that decisions tell of it. It seems to supersede itself until
 * the last stage, so that two of one external id can be there.
 */
export async function rebuildPackages(rebuild: Rebuild, after: string): Promise<void> {
  const { objects } = rebuild;
  const signers = await knownKeys(rebuild);
  const found = inOrder(listStoredPackages(objects, after), READ_AT_ONCE, async (keys): Promise<FoundPackage> => {
    const stored = await readStoredPackage(objects, keys);
    const { manifest } = stored;
    return { ...stored, attestation: manifest && (await readStoredAttestation(objects, keys, manifest, signers)) };
  });
  let batch: FoundPackage[] = [];
  let files = 0;
  for await (const stored of found) {
    const count = stored.manifest?.file_count ?? 0;
    if (batch.length > 0 && (files + count > FILES || batch.length === PACKAGES)) {
      await writeBatch(rebuild, batch);
      batch = [];
      files = 0;
    }
    rebuild.signal.throwIfAborted();
    if (count > FILES) {
      await writeLarge(rebuild, stored);
      continue;
    }
    batch.push(stored);
    files += count;
  }
  await writeBatch(rebuild, batch);
}

async function writeBatch(rebuild: Rebuild, batch: readonly FoundPackage[]): Promise<void> {
  const last = batch.at(-1);
  if (last === undefined) return;
  await rebuild.step('packages', last.id, async (tables, report) => {
    for (const stored of batch) await write(tables, rebuild, report, stored);
  });
}

/** More files than one transaction should have: until the last one the package is not finalized, and a resumed rebuild does it again. */
async function writeLarge(rebuild: Rebuild, stored: FoundPackage): Promise<void> {
  const manifest = stored.manifest as StoredManifest;
  const history = historyOf(stored.id, manifest, stored, rebuild.classes);
  await rebuild.step('packages', null, async (tables) => {
    if ((await tables.packages.get(stored.id)) === null) await insert(tables, stored.id, manifest.package, history);
  });
  for await (const page of regrouped(manifest.pages())) {
    rebuild.signal.throwIfAborted();
    await rebuild.step('packages', null, (tables) => putFiles(tables, stored.id, page));
  }
  await rebuild.step('packages', stored.id, (tables, report) => finish(tables, report, stored, manifest, history));
}

async function write(tables: Tables, rebuild: Rebuild, report: RebuildReport, stored: FoundPackage): Promise<void> {
  const { id, manifest, damage, unreadable } = stored;
  if (manifest === null) {
    for (const key of unreadable) name(report.unreadable_decisions, key);
    name(damage === null ? report.without_manifest : report.damaged_manifests, id);
    return;
  }
  const history = historyOf(id, manifest, stored, rebuild.classes);
  await insert(tables, id, manifest.package, history);
  for await (const page of regrouped(manifest.pages())) await putFiles(tables, id, page);
  await finish(tables, report, stored, manifest, history);
}

/** What decisions tell of a package that has a manifest. */
export function historyOf(
  id: PackageId,
  { package: pkg }: StoredManifest,
  { decisions }: Pick<StoredPackage, 'decisions'>,
  classes: RetentionClasses,
): PackageHistory {
  const times = { created_at: Date.parse(pkg.created_at), finalized_at: Date.parse(pkg.finalized_at) };
  const today = Object.hasOwn(classes, pkg.retention_class) ? classes[pkg.retention_class] : undefined;
  const days = today === undefined ? undefined : classOf(today).days;
  return retell({ id, ...times }, decisions, days);
}

async function insert(tables: Tables, id: PackageId, pkg: ManifestPackage, history: PackageHistory): Promise<void> {
  const { retention_days, file_rules, expires_at, created_by } = history;
  await tables.rebuilds.keepClass(pkg.retention_class, retention_days);
  await tables.packages.insert({
    id,
    name: pkg.name,
    producer: pkg.producer,
    subject: pkg.subject,
    external_id: pkg.external_id,
    metadata: pkg.metadata,
    metadata_text: canonicalMetadata(pkg.metadata),
    retention_class: pkg.retention_class,
    retention_days,
    file_rules: [...file_rules],
    expires_at,
    // What it revises may come later.
    supersedes: null,
    created_by,
    created_at: Date.parse(pkg.created_at),
  });
  if (pkg.supersedes !== null) await tables.rebuilds.addRevision(id, pkg.supersedes);
}

async function putFiles(tables: Tables, id: PackageId, page: readonly ManifestFile[]): Promise<void> {
  await tables.files.put(id, page.map(fileOf));
}

/** As many as one statement takes, however few came at once. */
async function* regrouped(pages: AsyncIterable<ManifestFile[]>): AsyncGenerator<ManifestFile[]> {
  let held: ManifestFile[] = [];
  for await (const page of pages) {
    held.push(...page);
    for (; held.length >= PUT; held = held.slice(PUT)) yield held.slice(0, PUT);
  }
  if (held.length > 0) yield held;
}

function fileOf({ path, sha256, size, media_type, mtime, executable }: ManifestFile): PutFile {
  return {
    path: parseLogicalPath(path),
    digest: digestFromHex(sha256),
    size,
    media_type,
    mtime: mtime ?? null,
    executable: executable ?? false,
    proven: true,
  };
}

async function finish(
  tables: Tables,
  report: RebuildReport,
  { id, attestation, decisions, decisionVersions, unreadable }: FoundPackage,
  { package: pkg, versionId, digest, size, file_count, total_size }: StoredManifest,
  history: PackageHistory,
): Promise<void> {
  const finalizedAt = Date.parse(pkg.finalized_at);
  const { deletion, holds } = history;
  await tables.packages.update(id, {
    status: deletion === null ? 'finalized' : 'deleted',
    superseded_by: id,
    file_count,
    total_size,
    stored_size: history.stored_size,
    manifest_digest: digest,
    manifest_size: size,
    active_holds: holds.filter(({ released_at }) => released_at === null).length,
    reason: deletion?.reason ?? null,
    sealed_at: finalizedAt,
    sealed_by: history.sealed_by,
    finalized_at: finalizedAt,
    deleted_at: deletion?.at ?? null,
  });
  await tables.rebuilds.addHistory(id, history, decisionVersions);
  // Of locks nobody knows what storage was told.
  await tables.locks.want([id]);
  await removeFiles(tables, id, history);
  const key = manifestKey(id);
  const object = { id: derivedId('obj', finalizedAt, key), kind: 'manifest', key, version_id: versionId } as const;
  const now = await tables.now();
  await tables.blobs.addObject({ ...object, digest, size, stored: null, created_at: finalizedAt }, now);
  if (attestation !== null)
    await addAttestation(tables, id, attestation, derivedId('obj', finalizedAt, attestationKey(id)), now);
  if (deletion === null) report.packages += 1;
  else report.tombstones += 1;
  report.files += file_count;
  report.decisions += decisions.length - history.senseless.length;
  const senseless = history.senseless.map((decisionId) => decisionKey(id, decisionId));
  for (const key of [...unreadable, ...senseless]) name(report.unreadable_decisions, key);
}

/** What file rules let go, and what is still to go by them. */
async function removeFiles(
  tables: Tables,
  id: PackageId,
  { file_rules, removals, deletion }: PackageHistory,
): Promise<void> {
  const gone: Array<{ path: LogicalPath; size: number }> = [];
  for (const { event, paths } of removals) {
    const seq = await tables.rebuilds.seqOf(event);
    const found = await tables.files.atPaths(id, paths.map(parseLogicalPath));
    // After a restore of the registry a removal was decided again: the first one counts.
    const files = [...found.values()].filter(({ deleted_at }) => deleted_at === null);
    await tables.files.addDeleted(
      id,
      files.map(({ path }) => path),
      seq,
    );
    gone.push(...files);
  }
  const pkg = deletion === null && file_rules.length > 0 ? await tables.packages.get(id) : null;
  if (pkg === null) return;
  await tables.files.addExpiring(id, await countExpiring(tables, pkg));
  for (const group of expiringGroups(pkg, gone)) await tables.files.takeExpiring(id, group);
}
