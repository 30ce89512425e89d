import { blobKey } from '../blobs/key-layout.ts';
import { derivedId, type PackageId, type UploadId } from '../core/ids.ts';
import { NAMED_MAX } from '../core/rebuild-report.ts';
import type { ChainMember } from '../registry/rebuilds.ts';
import type { Tables } from '../registry/registry.ts';
import { lookOverFiles } from './look-over-files.ts';
import type { Rebuild } from './rebuild-run.ts';
import { type ChainLink, type Chains, giveBack, takeOver } from './revisions.ts';

const CHAINS = 100;
const PAGE = 500;

/** Stage 3: what follows from all packages and all objects together. Each step may be done again. */
export async function settleRebuild(rebuild: Rebuild): Promise<void> {
  await settleRevisions(rebuild);
  await settleMissing(rebuild);
  await settleSizes(rebuild);
  await rebuild.step('settling', null, ({ usage }) => usage.recount());
}

async function settleRevisions(rebuild: Rebuild): Promise<void> {
  await rebuild.step('settling', null, async (tables) => {
    await tables.rebuilds.setSupersedes();
    for (let after = ''; ; ) {
      const oldest = await tables.rebuilds.listOldest(after, CHAINS);
      for (const id of oldest) await settleChain(tables, id);
      const last = oldest.at(-1);
      if (last === undefined) break;
      after = last;
    }
    await tables.rebuilds.settleCurrent();
  });
}

/** Who supersedes whom depends on what was finalized and deleted first: all of it happens again. */
async function settleChain(tables: Tables, oldest: PackageId): Promise<void> {
  for (const [id, { superseded_by }] of await replay(await tables.rebuilds.chainOf(oldest))) {
    if (superseded_by !== null) await tables.packages.update(id, { superseded_by });
  }
}

async function replay(members: readonly ChainMember[]): Promise<Map<PackageId, ChainLink>> {
  const links = new Map(
    members.map(({ id, supersedes }): [PackageId, ChainLink] => [
      id,
      { id, supersedes, superseded_by: null, status: 'uploading', finalized_at: null },
    ]),
  );
  const chains: Chains = {
    packages: {
      lock: async (id) => links.get(id) ?? null,
      update: async (id, change) => void Object.assign(links.get(id) ?? {}, change),
    },
  };
  const steps = members.flatMap(({ id, finalized_at, deleted_at }) => [
    { id, at: finalized_at ?? 0, deleted: false },
    ...(deleted_at === null ? [] : [{ id, at: deleted_at, deleted: true }]),
  ]);
  // In one millisecond: what a package revises was finalized before, and nothing is deleted before it was finalized.
  const before = (a: (typeof steps)[number], b: (typeof steps)[number]): number =>
    a.at - b.at || Number(a.deleted) - Number(b.deleted) || (a.id < b.id ? -1 : 1);
  for (const { id, at, deleted } of steps.toSorted(before)) {
    const link = links.get(id) as ChainLink;
    if (deleted) {
      link.status = 'deleted';
      await giveBack(chains, link);
    } else {
      await takeOver(chains, link);
      Object.assign(link, { status: 'finalized', finalized_at: at });
    }
  }
  return links;
}

/**
 * Of bytes that living packages need and no object has, the registry says that they are lost, as of those of an object that is gone: a
 * file with them cannot be read, and whoever sends them again heals it.
 */
async function settleMissing(rebuild: Rebuild): Promise<void> {
  for (let after = 0; ; ) {
    const page = await rebuild.registry.read.rebuilds.listMissing(after, PAGE);
    const last = page.at(-1);
    if (last === undefined) break;
    await rebuild.step('settling', null, async (tables) => {
      const now = await tables.now();
      const ids: string[] = [];
      for (const { digest, size } of page) {
        const key = blobKey(digest, derivedId('upl', 0, `lost ${digest}`) as UploadId);
        const id = derivedId('obj', 0, key);
        ids.push(id);
        const object = { id, kind: 'blob', key, version_id: null, digest, size, stored: null, created_at: 0 } as const;
        await tables.blobs.addObject(object);
        await tables.blobs.addLocations(id, [{ digest, offset: 0, size }]);
      }
      await tables.blobs.markLost(ids, now);
    });
    after = last.no;
  }
  await rebuild.step('settling', null, async ({ rebuilds }, report) => {
    const { count, digests } = await rebuilds.listLost(NAMED_MAX);
    report.missing_blobs = { count, named: digests };
  });
}

/** Of packages that older versions finalized: no decision says how much storage they take. */
async function settleSizes(rebuild: Rebuild): Promise<void> {
  const { registry } = rebuild;
  for (let after = ''; ; ) {
    const page = await registry.read.rebuilds.listUnsized(after, PAGE);
    for (const id of page) {
      const { objectIds } = await lookOverFiles(registry.read, id);
      const stored_size = await registry.read.blobs.storedSize([...objectIds]);
      await rebuild.step('settling', null, ({ packages }) => packages.update(id, { stored_size }));
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}
