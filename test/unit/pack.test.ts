import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { digestHex, digestOf } from '../../src/core/digest.ts';
import { isStoreError, type StoreError } from '../../src/core/errors.ts';
import { checkMembers, decodeMembers, encodeMembers, type PackMember, PackVerifier } from '../../src/core/pack.ts';
import { packOf, type TestPack } from '../support/pack.ts';
import { tempFolder } from '../support/temp.ts';

const LIMITS = { pack_member_max: 10_000, pack_members_max: 50 };
const contents = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 1_500 }), {
  maxLength: 12,
  minLength: 1,
  selector: (bytes) => Buffer.from(bytes).toString('hex'),
});

/** What the verifier says of bytes that come in pieces of these lengths; null: nothing. */
function verify(members: readonly PackMember[], bytes: Uint8Array, lengths: readonly number[]): StoreError | null {
  const verifier = new PackVerifier(members);
  try {
    for (let at = 0, n = 0; at < bytes.length; n++) {
      const length = lengths[n % lengths.length] as number;
      verifier.write(bytes.subarray(at, at + length));
      at += length;
    }
    verifier.end();
    return null;
  } catch (error) {
    if (isStoreError(error)) return error;
    throw error;
  }
}

const pieces = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 5 });

test('a pack of any blobs passes, in whatever pieces it comes, and its list survives the registry', (t) => {
  fc.assert(
    fc.property(contents, pieces, (blobs, lengths) => {
      const pack = packOf(blobs);
      t.deepEqual(checkMembers(pack, LIMITS), pack.members);
      t.deepEqual(decodeMembers(encodeMembers(pack.members)), pack.members);
      t.is(verify(pack.members, pack.bytes, lengths), null);
    }),
  );
  t.pass();
});

test('any byte changed, left out or added is found', (t) => {
  fc.assert(
    fc.property(contents, pieces, fc.nat(), fc.integer({ min: 1, max: 255 }), (blobs, lengths, where, change) => {
      const { members, bytes } = packOf(blobs);
      const at = where % bytes.length;
      const changed = Buffer.from(bytes);
      changed[at] = ((changed[at] as number) + change) % 256;
      for (const wrong of [
        changed,
        bytes.subarray(0, at),
        Buffer.concat([bytes, Buffer.alloc(1)]),
        Buffer.concat([bytes.subarray(0, at), Buffer.from([change]), bytes.subarray(at)]),
      ]) {
        t.not(verify(members, wrong, lengths), null);
      }
    }),
  );
  t.pass();
});

test('what is wrong with the bytes is told by member', (t) => {
  const { members, bytes } = packOf(['first', 'second', 'third']);
  const second = members[1] as PackMember;
  const other = Buffer.from(bytes);
  other.write('secund', second.offset);
  t.like(verify(members, other, [7]), {
    code: 'digest_mismatch',
    extras: { digest: second.digest, expected_digest: second.digest, actual_digest: digestOf('secund') },
  });
  const renamed = Buffer.from(bytes);
  renamed.write('sha512', second.offset - 512);
  t.like(verify(members, renamed, [600]), { code: 'invalid_pack', extras: { digest: second.digest } });
  t.like(verify(members, packOf(['first', 'third', 'second']).bytes, [9_999]), {
    code: 'invalid_pack',
    extras: { digest: second.digest },
  });
  t.is(verify(members, bytes.subarray(0, -1), [9_999])?.code, 'invalid_pack');
});

const refusals: Array<[string, (pack: TestPack) => Partial<TestPack>, RegExp]> = [
  ['without members', () => ({ members: [] }), /no members/],
  ['of too many members', (pack) => ({ members: Array(51).fill(pack.members[0]) }), /51 members; at most 50/],
  ['with a member twice', ({ members: [a, b] }) => ({ members: [a, b, a] as PackMember[] }), /twice/],
  ['with an empty member', ({ members }) => ({ members: [{ ...members[0], size: 0 } as PackMember] }), /empty member/],
  [
    'with a large member',
    ({ members }) => ({ members: [{ ...members[0], size: 10_001 } as PackMember] }),
    /at most 10000/,
  ],
  [
    'whose members overlap',
    ({ members: [a, b] }) => ({ members: [a, { ...b, offset: (b as PackMember).offset - 1 }] as PackMember[] }),
    /it is at 1536/,
  ],
  ['of another size', ({ size }) => ({ size: size + 512 }), /with these members it has/],
  ['with a member left out', ({ members }) => ({ members: members.slice(0, 2) }), /with these members it has/],
];
for (const [what, change, message] of refusals) {
  test(`a pack ${what} is refused before anything is sent`, (t) => {
    const pack = packOf(['first', 'second', 'third']);
    const error = t.throws(() => checkMembers({ ...pack, ...change(pack) }, LIMITS));
    t.true(isStoreError(error, 'invalid_pack'));
    t.regex(error?.message ?? '', message);
  });
}

test('plain tar lists and extracts a pack', async (t) => {
  const folder = await tempFolder(t);
  const blobs = [Buffer.from('text'), Buffer.alloc(512, 1), Buffer.alloc(10_000, 2), Buffer.from([0])];
  const { bytes, members } = packOf(blobs);
  const file = join(folder, 'pack.tar');
  await writeFile(file, bytes);
  const { stderr } = await promisify(execFile)('tar', ['-xf', file, '-C', folder]);
  t.is(stderr, '');
  t.is((await readdir(join(folder, 'sha256'))).length, blobs.length);
  for (const [index, { digest }] of members.entries()) {
    const member = join(folder, 'sha256', digestHex(digest));
    t.deepEqual(await readFile(member), blobs[index]);
    const { mode, mtimeMs } = await stat(member);
    t.deepEqual([mode & 0o777, mtimeMs], [0o444, 0]);
  }
});
