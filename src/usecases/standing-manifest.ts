import { createHash } from 'node:crypto';
import type { WrittenObject } from '../blobs/blob-store.ts';
import { decisionsPrefix, manifestKey, ownerOf } from '../blobs/key-layout.ts';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { MANIFEST_SCHEMA, type ManifestFile } from '../core/manifest.ts';
import { splitManifest } from '../core/manifest-splitter.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { manifestFiles, manifestPackage } from './manifest-rows.ts';
import type { Services, WithReader } from './services.ts';
import { versionOf } from './version-of.ts';

/** Of decisions. */
const NAMED = 3;

/**
 * Whatever a registry takes for unfinished is preserved if storage has its manifest: then the registry is older than the store, and knows
 * neither what was finalized, nor what was decided since. @throws StoreError registry_older
 */
export async function assertNotFinalized({ blobs, registry }: Services<WithReader>, id: PackageId): Promise<void> {
  if ((await blobs.objects.stat({ key: manifestKey(id), versionId: null })) === null) return;
  // Read afterwards: somebody may be finalizing it, who seals it before its manifest is written.
  if ((await registry.read.packages.get(id))?.sealed_at !== null) return;
  throw new StoreError(
    'registry_older',
    `The store has a manifest of ${id}: it was finalized, which the registry does not know. The registry is older than the store, and nothing was changed. Restore a newer backup of the registry, or fill an empty one from the store with \`artifact-store rebuild --from-storage\`.`,
    { packages: [id] },
  );
}

/**
 * Before something is deleted: storage may have a hold or an extension that the registry does not know, which is older then. What an
 * operator has looked at since (`sweep --reconcile`) does not count. @throws StoreError registry_older
 */
export async function assertDecisionsKnown({ blobs, registry }: Services<WithReader>, id: PackageId): Promise<void> {
  const since = (await registry.read.stores.getReconciledAt()) ?? Number.NEGATIVE_INFINITY;
  const written: string[] = [];
  for await (const { key, modifiedAt } of blobs.objects.list(decisionsPrefix(id))) {
    const owner = ownerOf(key);
    if (owner?.kind === 'decision' && modifiedAt > since) written.push(owner.decisionId);
  }
  // Read afterwards: the registry knows of each before storage does.
  const known = await registry.read.retention.eventsAmong(written);
  const unknown = written.filter((decision) => !known.has(decision));
  if (unknown.length === 0) return;
  throw new StoreError(
    'registry_older',
    `The store has decisions on ${id} that the registry does not know (${unknown.slice(0, NAMED).join(', ')}): it may be held or extended. The registry is older than the store, and nothing was changed. Restore a newer backup of the registry, or fill an empty one from the store with \`artifact-store rebuild --from-storage\`; or make those decisions again, then run \`artifact-store sweep --reconcile\`.`,
    { packages: [id] },
  );
}

/** The manifest that somebody else has written; null: what stands under the key is no manifest of this package. */
export async function readStanding(
  services: Services<WithReader>,
  sealed: PackageRecord,
): Promise<WrittenObject | null> {
  const hash = createHash('sha256');
  let size = 0;
  const key = manifestKey(sealed.id);
  const versionId = await versionOf(services.blobs.objects, { key, versionId: null });
  const stream = await services.blobs.objects.open({ key, versionId });
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  try {
    if (!(await saysTheSame(services.registry.read, sealed, bytes()))) return null;
    return { digest: digestFromBytes(hash.digest()), size, versionId };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  } finally {
    stream.destroy();
  }
}

async function saysTheSame(
  tables: ReadTables,
  sealed: PackageRecord,
  bytes: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const ours = flat(manifestFiles(tables, sealed.id));
  let theirs: ManifestFile[] = [];
  const splitter = splitManifest((list) => {
    theirs.push(...(JSON.parse(list) as ManifestFile[]));
  });
  for await (const chunk of bytes) {
    splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    for (const { path, sha256, size } of theirs) {
      const mine = (await ours.next()).value;
      if (!mine || mine.path !== path || mine.sha256 !== sha256 || mine.size !== size) return false;
    }
    theirs = [];
  }
  if (!(await ours.next()).done) return false;
  const { package: said, schema } = splitter.end() as { package: JsonObject; schema: unknown };
  const [family] = MANIFEST_SCHEMA.split(/(?<=manifest\/)/);
  if (typeof schema !== 'string' || !schema.startsWith(family as string)) return false;
  // A version may say more, or less, but nothing else.
  const facts = Object.entries(manifestPackage(sealed)).filter(([name]) => name === 'id' || name in said);
  return facts.every(([name, value]) => canonicalJson(said[name] ?? null) === canonicalJson(value));
}

async function* flat(pages: AsyncIterable<ManifestFile[]>): AsyncGenerator<ManifestFile, undefined> {
  for await (const page of pages) yield* page;
}
