import { hash } from 'node:crypto';

/*
 * The Merkle tree of RFC 6962 and RFC 9162, section 2.1, over SHA-256. A tree of `size` leaves; leaves are counted from 0. Hashes
 * have 32 bytes.
 */

export const HASH_SIZE = 32;

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

export function leafHash(entry: Uint8Array): Buffer {
  return sha256(LEAF, entry);
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(NODE, left, right);
}

function sha256(...parts: Uint8Array[]): Buffer {
  return hash('sha256', Buffer.concat(parts), 'buffer');
}

/** The root of the tree of no leaves. */
export const EMPTY_ROOT: Readonly<Buffer> = sha256();

/** A whole subtree: of the 2^level leaves from index × 2^level. */
export interface TreeNode {
  level: number;
  index: number;
}

/** Gives the hashes of whole subtrees, in the order in which they are asked for. */
export type HashReader = (nodes: readonly TreeNode[]) => Promise<Buffer[]>;

/** Leaves from `begin` to before `end`; a part of the tree that RFC 9162 gives a hash. */
interface Range {
  begin: number;
  end: number;
}

/** The largest power of two below a number above 1. No bit operations: they end at 32 bits. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** The whole subtrees that a range consists of, the largest first. */
function nodesOf({ begin, end }: Range): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (let at = begin; at < end; ) {
    let level = 0;
    for (let width = 2; width <= end - at; width *= 2) level += 1;
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** From the right: the smaller subtrees are the deeper ones. */
function joined(hashes: readonly Buffer[]): Buffer {
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

async function hashesOf(ranges: readonly Range[], read: HashReader): Promise<Buffer[]> {
  const nodes = ranges.map(nodesOf);
  const hashes = await read(nodes.flat());
  let at = 0;
  return nodes.map(({ length }) => {
    at += length;
    return joined(hashes.slice(at - length, at));
  });
}

export async function treeRoot(size: number, read: HashReader): Promise<Buffer> {
  if (size === 0) return Buffer.from(EMPTY_ROOT);
  return (await hashesOf([{ begin: 0, end: size }], read))[0] as Buffer;
}

/** The root of a tree of these leaf hashes. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return Buffer.from(EMPTY_ROOT);
  let row = [...leaves];
  while (row.length > 1) row = parentsOf(row);
  return row[0] as Buffer;
}

/** The row above; an odd one at the end goes up as it is. */
function parentsOf(row: readonly Buffer[]): Buffer[] {
  const parents: Buffer[] = [];
  for (let at = 0; at < row.length; at += 2) {
    const [left, right] = [row[at] as Buffer, row[at + 1]];
    parents.push(right === undefined ? left : nodeHash(left, right));
  }
  return parents;
}

/**
 * That a leaf is in a tree: the hashes beside its way to the root, from the bottom (RFC 9162, section 2.1.3.1).
 * @throws RangeError unless index < size
 */
export async function inclusionProof(index: number, size: number, read: HashReader): Promise<Buffer[]> {
  assertCount(index, size - 1, 'a leaf');
  const ranges: Range[] = [];
  for (let [begin, end] = [0, size]; end - begin > 1; ) {
    const split = begin + splitOf(end - begin);
    const left = index < split;
    ranges.push(left ? { begin: split, end } : { begin, end: split });
    if (left) end = split;
    else begin = split;
  }
  return hashesOf(ranges.reverse(), read);
}

/**
 * That a tree begins with all leaves of a smaller one, in their order (RFC 9162, section 2.1.4.1). Of the same size, or to an empty
 * tree: no hashes. @throws RangeError unless first <= second
 */
export async function consistencyProof(first: number, second: number, read: HashReader): Promise<Buffer[]> {
  assertCount(first, second, 'a size');
  if (first === 0 || first === second) return [];
  const ranges: Range[] = [];
  let [begin, end] = [0, second];
  while (first < end) {
    const split = begin + splitOf(end - begin);
    const left = first <= split;
    ranges.push(left ? { begin: split, end } : { begin, end: split });
    if (left) end = split;
    else begin = split;
  }
  // The verifier knows the hash of the first tree as a whole.
  if (begin > 0) ranges.push({ begin, end });
  return hashesOf(ranges.reverse(), read);
}

function assertCount(value: number, most: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return;
  throw new RangeError(`${value} is not ${what} of this tree: the last is ${most}`);
}

/** The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2). @returns null: no such proof can be one */
export function rootByInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
): Buffer | null {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return null;
  let [place, last] = [index, size - 1];
  let root: Buffer = Buffer.from(leaf);
  for (const each of proof) {
    if (last === 0 || each.length !== HASH_SIZE) return null;
    if (isOdd(place) || place === last) {
      root = nodeHash(each, root);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      root = nodeHash(root, each);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 ? root : null;
}

/** Whether a proof shows that the second tree begins with the first (RFC 9162, section 2.1.4.2). */
export function isConsistent(
  first: { size: number; root: Uint8Array },
  second: { size: number; root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(first.size) || !Number.isSafeInteger(second.size)) return false;
  if (first.size < 0 || first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && equal(first.root, second.root);
  if (first.size === 0) return proof.length === 0 && equal(first.root, EMPTY_ROOT);
  const path = isPowerOfTwo(first.size) ? [first.root, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [place, last] = [first.size - 1, second.size - 1];
  while (isOdd(place)) [place, last] = [half(place), half(last)];
  let before: Uint8Array = start;
  let after: Uint8Array = start;
  for (const each of rest) {
    if (last === 0 || each.length !== HASH_SIZE) return false;
    if (isOdd(place) || place === last) {
      before = nodeHash(each, before);
      after = nodeHash(each, after);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      after = nodeHash(after, each);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && equal(before, first.root) && equal(after, second.root);
}

const equal = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
const isOdd = (value: number): boolean => value % 2 === 1;
const half = (value: number): number => Math.floor(value / 2);

function isPowerOfTwo(value: number): boolean {
  return value === 1 || splitOf(value) * 2 === value;
}
