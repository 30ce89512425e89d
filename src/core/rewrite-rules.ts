import { PACK_END_SIZE } from './pack.ts';

/** What of a pack decides whether it is written anew. Sizes in bytes. */
export interface PackUse {
  /** Of its content. */
  size: number;
  /** In storage. */
  stored_size: number;
  /** What members that are needed and stand in no later object take in it, with their headers. */
  live_size: number;
  live_members: number;
}

export interface RewriteRules {
  /** Most of a pack's content that may be dead, from 0 to 1. */
  maxDead: number;
  /** Most bytes that one sweep writes anew. */
  maxRewrite: number;
}

export const DEFAULT_REWRITE: RewriteRules = { maxDead: 0.5, maxRewrite: Number.POSITIVE_INFINITY };

/** Packs below this share of the usual size are small. */
const SMALL_SHARE = 4;

/**
 * Too much of it is dead. What is dead as a whole is not written anew: it is condemned. The end that each pack has is not dead: a pack
 * that was just written never is sparse, however small, or each sweep would write it again.
 */
export function isSparse({ size, live_size, live_members }: PackUse, { maxDead }: RewriteRules): boolean {
  return live_members > 0 && size - PACK_END_SIZE - live_size > maxDead * size;
}

/** So small that several of them should be one. @param target about how large a pack should be */
export function isSmall({ size }: PackUse, target: number): boolean {
  return size < target / SMALL_SHARE;
}

/** Whether small packs are worth it: what comes of them is not small again, and so is not written a third time. */
export function isWorthMerging(packs: readonly PackUse[], target: number): boolean {
  const live = packs.reduce((sum, { live_size }) => sum + live_size, 0);
  return packs.length > 1 && live >= target / SMALL_SHARE;
}
