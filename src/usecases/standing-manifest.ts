import { createHash } from 'node:crypto';
import type { WrittenObject } from '../blobs/blob-store.ts';
import { manifestKey } from '../blobs/key-layout.ts';
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

/** A manifest that somebody else has written. */
interface StandingManifest extends WrittenObject {
  /** As it says, ms. */
  finalizedAt: number;
}

/**
 * When a package was finalized that this registry knows as unfinished: storage has a manifest of it, so the registry is older than the store.
 * @param pkg as it would be sealed @returns ms; null: it was not @throws StoreError registry_older: its manifest says something else than its rows
 */
export async function finalizedBefore(services: Services<WithReader>, pkg: PackageRecord): Promise<number | null> {
  if (!(await isOlder(services, pkg.id))) return null;
  const standing = await readStanding(services, pkg);
  if (standing === null) throw finalizedSince(pkg.id, 'with other files or other facts than the registry has of it');
  return standing.finalizedAt;
}

/** @throws StoreError registry_older: storage has a manifest of a package that this registry knows as unfinished */
export async function assertNotFinalized(services: Services<WithReader>, id: PackageId): Promise<void> {
  if (await isOlder(services, id)) throw finalizedSince(id, 'which the registry does not know');
}

/** Whether storage has the manifest of a package that the registry has not sealed. */
async function isOlder({ blobs, registry }: Services<WithReader>, id: PackageId): Promise<boolean> {
  if ((await blobs.objects.stat({ key: manifestKey(id), versionId: null })) === null) return false;
  // Read afterwards: somebody may be finalizing it, who seals it before its manifest is written.
  return (await registry.read.packages.get(id))?.sealed_at === null;
}

function finalizedSince(id: PackageId, how: string): StoreError {
  return new StoreError(
    'registry_older',
    `The store has a manifest of ${id}: it was finalized, ${how}. The registry is older than the store, and nothing was changed. Restore a newer backup of the registry, or fill an empty one from the store with \`artifact-store rebuild --from-storage\`.`,
    { packages: [id] },
  );
}

/** Null: what stands under the key says something else of this package, or is no manifest. Whenever it was finalized. */
export async function readStanding(
  services: Services<WithReader>,
  pkg: PackageRecord,
): Promise<StandingManifest | null> {
  const hash = createHash('sha256');
  let size = 0;
  const key = manifestKey(pkg.id);
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
    const finalizedAt = await whenItSaysTheSame(services.registry.read, pkg, bytes());
    return finalizedAt === null ? null : { digest: digestFromBytes(hash.digest()), size, versionId, finalizedAt };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  } finally {
    stream.destroy();
  }
}

/** @returns when a manifest says that the package was finalized; null: it says of its files, or of itself, something else */
async function whenItSaysTheSame(
  tables: ReadTables,
  pkg: PackageRecord,
  bytes: AsyncIterable<Uint8Array>,
): Promise<number | null> {
  const ours = flat(manifestFiles(tables, pkg.id));
  let theirs: ManifestFile[] = [];
  const splitter = splitManifest((list) => {
    theirs.push(...(JSON.parse(list) as ManifestFile[]));
  });
  for await (const chunk of bytes) {
    splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    for (const { path, sha256, size } of theirs) {
      const mine = (await ours.next()).value;
      if (!mine || mine.path !== path || mine.sha256 !== sha256 || mine.size !== size) return null;
    }
    theirs = [];
  }
  if (!(await ours.next()).done) return null;
  const { package: said, schema } = splitter.end() as { package: JsonObject; schema: unknown };
  const [family] = MANIFEST_SCHEMA.split(/(?<=manifest\/)/);
  if (typeof schema !== 'string' || !schema.startsWith(family as string)) return null;
  // A version may say more, or less, but nothing else.
  const { finalized_at, ...facts } = manifestPackage(pkg);
  const shared = Object.entries(facts).filter(([name]) => name === 'id' || name in said);
  if (!shared.every(([name, value]) => canonicalJson(said[name] ?? null) === canonicalJson(value))) return null;
  const finalizedAt = Date.parse(String(said.finalized_at));
  return Number.isNaN(finalizedAt) ? null : finalizedAt;
}

async function* flat(pages: AsyncIterable<ManifestFile[]>): AsyncGenerator<ManifestFile, undefined> {
  for await (const page of pages) yield* page;
}
