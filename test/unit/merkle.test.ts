import { hash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  consistencyProof,
  EMPTY_ROOT,
  type HashReader,
  inclusionProof,
  isConsistent,
  leafHash,
  rootByInclusion,
  rootOf,
  treeRoot,
} from '../../src/core/merkle.ts';
import { growTiles, hashReader } from '../../src/core/tlog-tiles.ts';

/** The definitions of RFC 9162, section 2.1, word for word: nothing of the module under test but hashes of leaves. */
function mth(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return hash('sha256', '', 'buffer');
  if (leaves.length === 1) return leaves[0] as Buffer;
  const k = splitOf(leaves.length);
  return hash('sha256', Buffer.concat([Buffer.from([1]), mth(leaves.slice(0, k)), mth(leaves.slice(k))]), 'buffer');
}

function path(m: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = splitOf(leaves.length);
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}

function subproof(m: number, leaves: readonly Buffer[], whole: boolean): Buffer[] {
  if (m === leaves.length) return whole ? [] : [mth(leaves)];
  const k = splitOf(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), whole), mth(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

function splitOf(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1));
}

function leavesOf(size: number): Buffer[] {
  return Array.from({ length: size }, (_, nth) => leafHash(Buffer.from(`leaf ${nth}`)));
}

/** Through tiles, as the service reads. */
function readerOf(leaves: readonly Buffer[]): HashReader {
  const tiles = new Map(
    growTiles(0, [], leaves).map(({ level, n, hashes }) => [`${level}/${n}`, Buffer.concat(hashes)]),
  );
  return hashReader(async (places) => places.map(({ level, n }) => tiles.get(`${level}/${n}`) ?? Buffer.alloc(0)));
}

const same = (one: Buffer[], other: Buffer[]): boolean => Buffer.concat(one).equals(Buffer.concat(other));

test('roots are those of the test vectors of certificate-transparency', async (t) => {
  const entries = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ];
  const leaves = entries.map((entry) => leafHash(Buffer.from(entry, 'hex')));
  for (const [nth, root] of roots.entries()) {
    const some = leaves.slice(0, nth + 1);
    t.is(rootOf(some).toString('hex'), root);
    t.is((await treeRoot(some.length, readerOf(some))).toString('hex'), root);
  }
  t.is(EMPTY_ROOT.toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

const SIZES = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(255, 256, 257, 511, 512, 513, 768, 1_000));

test('roots and proofs are those of the definition, whatever the size, and verify', async (t) => {
  await fc.assert(
    fc.asyncProperty(SIZES, fc.nat(), fc.nat(), async (size, place, earlier) => {
      const leaves = leavesOf(size);
      const read = readerOf(leaves);
      const root = mth(leaves);
      if (!(await treeRoot(size, read)).equals(root) || !rootOf(leaves).equals(root)) return false;

      const index = place % size;
      const proof = await inclusionProof(index, size, read);
      if (!same(proof, path(index, leaves))) return false;
      if (!rootByInclusion(index, size, leaves[index] as Buffer, proof)?.equals(root)) return false;

      const before = (earlier % size) + 1;
      const consistency = await consistencyProof(before, size, read);
      if (!same(consistency, subproof(before, leaves, true))) return false;
      const first = { size: before, root: mth(leaves.slice(0, before)) };
      return isConsistent(first, { size, root }, consistency);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('a proof of something else does not verify', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 70 }), fc.nat(), fc.nat(), fc.nat(), async (size, a, b, bit) => {
      const leaves = leavesOf(size);
      const read = readerOf(leaves);
      const root = mth(leaves);
      const index = a % size;
      const other = b % size;
      const proof = await inclusionProof(index, size, read);
      const leads = (place: number, total: number, leaf: Buffer, hashes: Buffer[]): boolean =>
        rootByInclusion(place, total, leaf, hashes)?.equals(root) ?? false;
      if (other !== index && leads(other, size, leaves[index] as Buffer, proof)) return false;
      if (other !== index && leads(index, size, leaves[other] as Buffer, proof)) return false;
      if (leads(index, size, leaves[index] as Buffer, [...proof, root])) return false;
      if (leads(index, size, leaves[index] as Buffer, proof.slice(0, -1))) return false;
      if (leads(index, size, leaves[index] as Buffer, flipped(proof, bit))) return false;

      const before = (b % (size - 1)) + 1;
      const first = { size: before, root: mth(leaves.slice(0, before)) };
      const consistency = await consistencyProof(before, size, read);
      const wrong = { size: before, root: mth([...leaves.slice(0, before - 1), leafHash(Buffer.from('another'))]) };
      return (
        !isConsistent(wrong, { size, root }, consistency) &&
        !isConsistent(first, { size, root }, flipped(consistency, bit)) &&
        !isConsistent(first, { size, root }, [...consistency, root]) &&
        !isConsistent({ ...first, size: before + 1 }, { size, root }, consistency)
      );
    }),
    { numRuns: 150 },
  );
  t.pass();
});

/** One bit of one hash is another. */
function flipped(hashes: readonly Buffer[], nth: number): Buffer[] {
  const copies = hashes.map((each) => Buffer.from(each));
  const bits = copies.length * 256;
  const bit = nth % bits;
  const copy = copies[Math.floor(bit / 256)] as Buffer;
  copy[Math.floor((bit % 256) / 8)] = (copy[Math.floor((bit % 256) / 8)] as number) ^ (1 << (bit % 8));
  return copies;
}

test('what no tree has is refused', async (t) => {
  const leaves = leavesOf(5);
  const read = readerOf(leaves);
  await t.throwsAsync(inclusionProof(5, 5, read), { instanceOf: RangeError });
  await t.throwsAsync(consistencyProof(6, 5, read), { instanceOf: RangeError });
  t.is(rootByInclusion(5, 5, leaves[0] as Buffer, []), null);
  t.is(rootByInclusion(0.5, 5, leaves[0] as Buffer, []), null);
  const root = mth(leaves);
  t.false(isConsistent({ size: 6, root }, { size: 5, root }, []));
  t.true(isConsistent({ size: 5, root }, { size: 5, root }, []));
  t.true(isConsistent({ size: 0, root: mth([]) }, { size: 5, root }, []), 'every log begins with nothing');
  t.false(isConsistent({ size: 0, root }, { size: 5, root }, []));
});
