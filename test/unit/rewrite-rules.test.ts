import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import { layoutPack, sizeInPack } from '../../src/core/pack.ts';
import { isSparse } from '../../src/core/rewrite-rules.ts';

const RULES = { maxRewrite: Number.POSITIVE_INFINITY };
const digest = digestOf(Buffer.alloc(0));

test('what a rewrite writes is not written again: a pack of living members alone is never sparse', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20_000), { minLength: 1, maxLength: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (sizes, maxDead) => {
        const { size } = layoutPack(sizes.map((each) => ({ digest, size: each })));
        const live_size = sizes.reduce((sum, each) => sum + sizeInPack(each), 0);
        return !isSparse({ size, stored_size: size, live_size, live_members: sizes.length }, { ...RULES, maxDead });
      },
    ),
  );
  t.pass();
});

test('a pack is sparse when more of it is dead than may be; not when all of it is', (t) => {
  const { size } = layoutPack([1_000, 1_000, 1_000, 1_000].map((each) => ({ digest, size: each })));
  const of = (live_members: number, maxDead: number) =>
    isSparse(
      { size, stored_size: size, live_size: live_members * sizeInPack(1_000), live_members },
      { ...RULES, maxDead },
    );
  t.true(of(1, 0.5));
  t.false(of(2, 0.5));
  t.true(of(3, 0.1));
  t.true(of(3, 0));
  t.false(of(4, 0));
  t.false(of(0, 0));
});
