import { isStoreError } from '../core/errors.ts';
import { isSmall, isSparse, isWorthMerging, type RewriteRules } from '../core/rewrite-rules.ts';
import type { SparsePack } from '../registry/pack-members.ts';
import type { Services, WithReader, WithUploads } from './services.ts';
import { type PackSource, writePack } from './write-pack.ts';

/** Packs in one statement, which asks of each of their members whether it is needed. */
const PAGE = 8;
/** Producers whose small packs are held together at once; of more, the first ones are written. */
const GROUPS = 100;

export interface Rewriting {
  /** Packs that are written anew, or would be. */
  found(packs: readonly SparsePack[]): Promise<void>;
  /** An object that was written in their place, of so many bytes in storage. */
  written(storedSize: number): Promise<void>;
}

/**
 * Writes the needed members of packs anew that are mostly dead, or small. The old packs are as they were: their members have another
 * place now, so a sweep condemns them. Packs of different producers are never put together (design: packs never mix producers).
 * What cannot be read is left, and told. What is locked in storage is left: it stays there in any case. @param act left out: they are only found
 */
export async function rewritePacks(
  services: Services<WithUploads & WithReader>,
  rules: RewriteRules,
  act: boolean,
  rewriting: Rewriting,
): Promise<void> {
  const { blobs, now } = services.registry.read;
  const { pack_target: target, pack_members_max: mostMembers } = services.limits;
  let left = rules.maxRewrite;
  const groups = new Map<string, SparsePack[]>();

  async function rewrite(packs: readonly SparsePack[]): Promise<void> {
    const size = packs.reduce((sum, { live_size }) => sum + live_size, 0);
    if (size > left) return;
    left -= size;
    await rewriting.found(packs);
    if (!act) return;
    try {
      const sources: PackSource[] = [];
      for (const pack of packs) sources.push({ pack, members: await blobs.liveMembers(pack.id) });
      const wanted = sources.filter(({ members }) => members.length > 0);
      if (wanted.length > 0) await rewriting.written(await writePack(services, wanted));
    } catch (error) {
      // Without a cause it is storage that did nothing wrong, but this process, which was stopped for longer than its lease: the old packs
      // stay, and the next sweep looks at them.
      if (isStoreError(error, 'upload_abandoned') && error.cause === undefined) {
        services.log.warn({ err: error }, 'another instance has ended the upload of a pack that was written anew');
        return;
      }
      if (!isStoreError(error, 'integrity_failure') && !isStoreError(error, 'object_not_found')) throw error;
      services.log.error({ err: error, packs: packs.map(({ id }) => id) }, 'packs cannot be written anew');
    }
  }

  /** Together with other small ones of the same producer. */
  async function gather(pack: SparsePack, force: boolean): Promise<void> {
    const producers = await blobs.producersOf(pack.id);
    const [producer] = producers;
    // What several need is never put together with anything.
    if (producers.length !== 1 || producer === undefined) {
      if (force) await rewrite([pack]);
      return;
    }
    const group = groups.get(producer) ?? [];
    const full =
      group.reduce((sum, { live_size }) => sum + live_size, pack.live_size) > target ||
      group.reduce((sum, { live_members }) => sum + live_members, pack.live_members) > mostMembers;
    if (full) await end(producer, group);
    groups.set(producer, [...(full ? [] : group), pack]);
    if (groups.size > GROUPS) {
      const [oldest] = groups.keys();
      if (oldest !== undefined) await end(oldest, groups.get(oldest) ?? []);
    }
  }

  async function end(producer: string, group: readonly SparsePack[]): Promise<void> {
    groups.delete(producer);
    if (isWorthMerging(group, target)) return rewrite(group);
    for (const pack of group) if (isSparse(pack, rules)) await rewrite([pack]);
  }

  for (let after: number | null = 0; after !== null && left > 0; ) {
    const page: { packs: SparsePack[]; next: number | null } = await blobs.listPacks(after, PAGE, await now());
    for (const pack of page.packs) {
      const sparse = isSparse(pack, rules);
      if (sparse || (pack.live_members > 0 && isSmall(pack, target))) await gather(pack, sparse);
    }
    after = page.next;
  }
  for (const [producer, group] of [...groups]) await end(producer, group);
}
