import { decisionKey } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import { mergeByKey } from '../core/merge-by-key.ts';
import { name } from '../core/rebuild-report.ts';
import { noDifferences, type RegistryDifferences } from '../core/registry-differences.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { compareStore } from './compare-store.ts';
import { inOrder } from './in-order.ts';
import { manifestDigest } from './manifest-rows.ts';
import type { RebuildNeeds } from './rebuild.ts';
import { historyOf } from './rebuild-packages.ts';
import { listStoredPackages, readStoredPackage, type StoredManifest, type StoredPackage } from './stored-packages.ts';

type Needs = Pick<RebuildNeeds, 'registry' | 'objects' | 'classes' | 'signal'>;

const READ_AT_ONCE = 8;
const PAGE = 500;
/** No package has so many decisions that storage does not have yet, but one after an upgrade. */
const UNWRITTEN_MAX = 10_000;

/**
 * Both sides of a registry and its store, package by package and object by object; of objects, that they are there and how large they
 * are. Changes nothing. What is pushed meanwhile may be seen on one side alone.
 */
export async function compareRegistry(needs: Needs): Promise<RegistryDifferences> {
  const differences = noDifferences();
  await comparePackages(needs, differences);
  const { registry, objects, signal } = needs;
  await compareStore({ registry, blobs: { objects } }, Number.POSITIVE_INFINITY, {
    seen() {
      signal.throwIfAborted();
      differences.objects += 1;
    },
    young() {},
    async differing(kept) {
      for (const { state, key } of kept)
        name(state === 'lost' ? differences.found_objects : differences.missing_objects, key);
    },
    async strays(strays) {
      // Of the others the registry knows what became of their uploads.
      for (const { kind, key } of strays) {
        if (kind === 'unknown' || kind === 'unread' || kind === 'wanted') name(differences.unknown_objects, key);
      }
    },
  });
  return differences;
}

async function comparePackages(needs: Needs, differences: RegistryDifferences): Promise<void> {
  const stored = inOrder(listStoredPackages(needs.objects), READ_AT_ONCE, async (keys) => {
    needs.signal.throwIfAborted();
    return { ...(await readStoredPackage(needs.objects, keys)), hasManifest: keys.hasManifest, key: keys.id };
  });
  for await (const { left, right } of mergeByKey(stored, sealedPackages(needs.registry.read))) {
    differences.packages += 1;
    const id = (left?.key ?? right?.key) as PackageId;
    const { read } = needs.registry;
    const known = await read.packages.get(id);
    const pkg = right === null ? null : known;
    if (left?.hasManifest && pkg === null) name(differences.unknown_packages, id);
    if (!left?.hasManifest && pkg !== null) name(differences.missing_manifests, id);
    if (left?.hasManifest && pkg !== null) await comparePackage(needs, differences, left, pkg);
    await compareDecisions(read, differences, id, left, known);
  }
}

/** Those that were finalized, by their ids. */
async function* sealedPackages({ rebuilds }: ReadTables): AsyncGenerator<{ key: string }> {
  for (let after = ''; ; ) {
    const page = await rebuilds.listSealed(after, PAGE);
    for (const key of page) yield { key };
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

async function comparePackage(
  { registry, classes }: Needs,
  differences: RegistryDifferences,
  stored: StoredPackage,
  pkg: PackageRecord,
): Promise<void> {
  const { id, manifest } = stored;
  if (manifest === null || manifest.digest !== pkg.manifest_digest) return name(differences.other_manifests, id);
  if ((await manifestDigest(registry.read, pkg)) !== manifest.digest) name(differences.other_files, id);
  if (!isKeptAlike(pkg, stored, manifest, classes)) name(differences.other_retention, id);
}

function isKeptAlike(
  pkg: PackageRecord,
  stored: StoredPackage,
  manifest: StoredManifest,
  classes: Needs['classes'],
): boolean {
  // What storage was not told yet is told of as missing.
  if (!stored.decisions.some(({ action }) => action === 'finalized')) return true;
  const { expires_at, deletion, holds } = historyOf(pkg.id, manifest, stored, classes);
  return (
    expires_at === pkg.expires_at &&
    (deletion?.at ?? null) === pkg.deleted_at &&
    holds.filter(({ released_at }) => released_at === null).length === pkg.active_holds
  );
}

async function compareDecisions(
  read: ReadTables,
  differences: RegistryDifferences,
  id: PackageId,
  stored: StoredPackage | null,
  pkg: PackageRecord | null,
): Promise<void> {
  const inStore = stored?.decisions.map((decision) => decision.id) ?? [];
  differences.decisions += inStore.length;
  for (const key of stored?.unreadable ?? []) name(differences.unreadable_decisions, key);
  const known = await read.retention.eventsAmong(inStore);
  for (const one of inStore) if (!known.has(one)) name(differences.unknown_decisions, decisionKey(id, one));
  const unwritten = new Set((await read.retention.unwritten(id, UNWRITTEN_MAX)).map((event) => event.id));
  const there = new Set([...inStore, ...(stored?.unreadable ?? [])]);
  for (const event of await read.retention.events(id)) {
    const key = decisionKey(id, event.id);
    if (event.action === 'set' || unwritten.has(event.id) || there.has(event.id) || there.has(key)) continue;
    // The end of what was never finalized is of no use in storage.
    if (event.action === 'deleted' && (pkg?.finalized_at ?? null) === null) continue;
    name(differences.missing_decisions, key);
  }
}
