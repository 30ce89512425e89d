import { manifestKey, type ObjectKey, ownerOf, PACKAGES_PREFIX } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import type { Services, WithReader } from './services.ts';

const BATCH = 1_000;
/** So many of each kind are named. */
const NAMED = 100;

type Entry = { packageId: PackageId; decisionId: string | null };

/** Packages of which the store has something that the registry does not know: of each kind the first hundred. */
export interface UnknownPackages {
  /** Whose files it does not know: what it takes for unneeded may be theirs. */
  manifests: Set<PackageId>;
  /** Held, extended or deleted without its knowing. */
  decisions: Set<PackageId>;
}

/**
 * Where the store has a manifest or a decision that the registry does not know, the registry is older than the store, as after a
 * restore: it always knows first. @param since older decisions an operator has looked at, ms; null: none @param seen told of every key
 */
export async function unknownPackages(
  { registry, blobs }: Services<WithReader>,
  since: number | null,
  seen: (key: ObjectKey) => void,
): Promise<UnknownPackages> {
  const unknown: UnknownPackages = { manifests: new Set(), decisions: new Set() };
  let batch: Entry[] = [];
  const judge = async (): Promise<void> => {
    const entries = batch;
    batch = [];
    const manifests = entries.filter(({ decisionId }) => decisionId === null).map(({ packageId }) => packageId);
    const decisions = entries.flatMap(({ decisionId }) => (decisionId === null ? [] : [decisionId]));
    const sealed = manifests.length === 0 ? new Set() : await registry.read.packages.sealedAmong(manifests);
    const events = decisions.length === 0 ? new Set() : await registry.read.retention.eventsAmong(decisions);
    for (const { packageId, decisionId } of entries) {
      const kind = decisionId === null ? 'manifests' : 'decisions';
      const isKnown = decisionId === null ? sealed.has(packageId) : events.has(decisionId);
      if (!isKnown && unknown[kind].size < NAMED) unknown[kind].add(packageId);
    }
  };
  for await (const { key, modifiedAt } of blobs.objects.list(PACKAGES_PREFIX)) {
    seen(key);
    const owner = ownerOf(key);
    if (owner === null || owner.kind === 'blob') continue;
    const decisionId = owner.kind === 'decision' ? owner.decisionId : null;
    if (decisionId !== null && since !== null && modifiedAt <= since) continue;
    batch.push({ packageId: owner.packageId, decisionId });
    if (batch.length === BATCH) await judge();
  }
  await judge();
  // Of a package that an earlier version deleted recovery may have removed the manifest since it was listed.
  for (const id of unknown.manifests) {
    if ((await blobs.objects.stat({ key: manifestKey(id), versionId: null })) === null) unknown.manifests.delete(id);
  }
  return unknown;
}
