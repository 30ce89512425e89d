import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { Salvage } from '../../src/blobs/salvage.ts';
import { digestOf } from '../../src/core/digest.ts';
import { type PackMember, writeMemberHeader } from '../../src/core/pack.ts';
import { PackSalvage, type Salvaged } from '../../src/core/pack-salvage.ts';
import { framedPack } from '../support/frames.ts';
import { packOf } from '../support/pack.ts';

const HEADER = 512;

function salvage(bytes: Uint8Array, pieces: readonly number[] = [], salvager = new PackSalvage()): Salvaged {
  let at = 0;
  for (const size of [...pieces, bytes.length]) {
    salvager.write(bytes.subarray(at, at + size));
    at += size;
  }
  return salvager.end();
}

const contents = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 1_500 }), {
  minLength: 1,
  maxLength: 6,
  selector: (bytes) => digestOf(bytes),
});

/** Where a byte stands: in a member, before it, or around all of them. */
function placeOf(members: readonly PackMember[], at: number): { member: PackMember; inHeader: boolean } | null {
  const member = members.find(({ offset, size }) => at >= offset - HEADER && at < offset + size);
  return member ? { member, inHeader: at < member.offset } : null;
}

test('one bad byte costs the member that it stands in, and no other one', (t) => {
  fc.assert(
    fc.property(contents, fc.nat(), fc.array(fc.integer({ min: 1, max: 2_000 })), (blobs, chance, pieces) => {
      const { bytes, members } = packOf(blobs);
      const at = chance % bytes.length;
      bytes[at] = (bytes[at] as number) ^ (1 << (chance % 8));
      const hit = placeOf(members, at);
      const { good, bad } = salvage(bytes, pieces);
      t.deepEqual(
        good,
        members.filter((member) => member !== hit?.member),
      );
      t.deepEqual(bad, hit === null || hit.inHeader ? [] : [hit.member]);
    }),
  );
});

test('whatever the bytes are, what is called good has its digest, where it is said to be', (t) => {
  fc.assert(
    fc.property(
      contents,
      fc.array(fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 700 })), { maxLength: 4 }),
      fc.nat(),
      (blobs, changes, cut) => {
        const { bytes } = packOf(blobs);
        for (const [at, other] of changes)
          bytes.set(other.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length);
        const left = bytes.subarray(0, cut % (bytes.length + 1));
        const { good, bad } = salvage(left);
        for (const { digest, offset, size } of good) t.is(digestOf(left.subarray(offset, offset + size)), digest);
        const ends = [...good, ...bad].toSorted((a, b) => a.offset - b.offset);
        for (const [index, { offset }] of ends.entries()) {
          const before = ends[index - 1];
          t.true(before === undefined || before.offset + before.size <= offset, 'none overlaps another one');
        }
      },
    ),
  );
});

test('a frame that cannot be read costs its members', (t) => {
  const blobs = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text.repeat(300)));
  const { bytes, frames, members, plan } = framedPack(blobs, [1, 2, 1]);
  let costly = 0;
  const [first = 0] = frames.map((frame) => frame.bytes.length);
  for (let at = 0; at < (frames[1]?.bytes.length as number); at += 1) {
    const other = Buffer.from(bytes);
    other.writeUInt8((bytes[first + at] as number) ^ (1 << (at % 8)), first + at);
    const salvager = new Salvage(Buffer.from(plan.frames, 'base64'));
    salvager.write(other.subarray(0, first + 1));
    salvager.write(other.subarray(first + 1));
    const { good, bad } = salvager.end();
    // A few of zstd's bits mean nothing.
    t.deepEqual(good, good.length === 4 ? members : [members[0], members[3]], `byte ${at}`);
    t.deepEqual(bad, [], 'nothing says which members they were');
    costly += 4 - good.length;
  }
  t.true(costly > (frames[1]?.bytes.length as number));
});

test('a frame of a large member that cannot be read leaves the member bad, and what follows good', (t) => {
  const large = randomBytes(5_000);
  const { bytes, members } = packOf([large, 'after']);
  const salvager = new PackSalvage();
  salvager.write(bytes.subarray(0, 2_000));
  salvager.hole(1_000);
  salvager.write(bytes.subarray(3_000));
  t.deepEqual(salvager.end(), { good: [members[1]], bad: [members[0]] });
  const behind = new PackSalvage();
  behind.write(bytes.subarray(0, 600));
  behind.hole(2 ** 40);
  t.deepEqual(behind.end(), { good: [], bad: [members[0]] }, 'a hole of any size is passed at once');
});

test('a member whose bytes are not right hides none that stands inside of what it claims', (t) => {
  const contents = ['one', 'two', 'three', 'four'].map((text) => text.repeat(300));
  const { bytes, members } = packOf(contents);
  // A sector of the first one is missing: the others stand a block earlier.
  const shifted = Buffer.concat([bytes.subarray(0, 512), bytes.subarray(1_024)]);
  const earlier = members.slice(1).map((member) => ({ ...member, offset: member.offset - 512 }));
  t.deepEqual(salvage(shifted), { good: earlier, bad: [members[0]] });
  // A stored file may begin with what reads as the header of all that follows.
  const lie = Buffer.alloc(HEADER);
  writeMemberHeader(lie, 0, digestOf('something else'), 50_000);
  const nested = packOf([Buffer.concat([lie, Buffer.from('a file')]), ...contents]);
  nested.bytes[0] = 0;
  t.deepEqual(salvage(nested.bytes), { good: nested.members.slice(1), bad: [] });
  // However often it says so.
  const lies = packOf([Buffer.concat(Array.from({ length: 100 }, () => lie)), ...contents]);
  lies.bytes[0] = 0;
  t.deepEqual(salvage(lies.bytes).good, lies.members.slice(1));
  const intact = packOf([Buffer.concat(Array.from({ length: 100 }, () => lie)), ...contents]);
  intact.bytes[intact.bytes.length - 1] = 1;
  t.deepEqual(salvage(intact.bytes).good, intact.members, 'nor does the file itself suffer');
});

test('a pack in a pack is one member, and gives its own members when it is damaged', (t) => {
  const inner = packOf(['one', 'two', 'three'].map((text) => text.repeat(300)));
  const outer = packOf([inner.bytes, 'after']);
  outer.bytes[outer.bytes.length - 1] = 1;
  t.deepEqual(salvage(outer.bytes), { good: outer.members, bad: [] });
  const [first] = outer.members as [PackMember];
  outer.bytes[first.offset + (inner.members[1]?.offset as number)] = 0;
  const inside = [inner.members[0], inner.members[2]].map((member) => ({
    ...(member as PackMember),
    offset: (member as PackMember).offset + first.offset,
  }));
  t.deepEqual(salvage(outer.bytes), { good: [...inside, outer.members[1]], bad: [] });
});

test('no more members than a pack has', (t) => {
  const { bytes, members } = packOf(['one', 'two', 'three']);
  t.deepEqual(salvage(bytes, [], new PackSalvage(2)).good, members.slice(0, 2));
});
