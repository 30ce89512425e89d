import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { checkParts, partSizeFor } from '../../src/core/part-plan.ts';

const LIMITS = { single_part_max: 100, part_size: 40, min_part_size: 10, max_parts: 5, object_size_max: 2 ** 40 };
const whole = digestOf('whole');
const piece = digestOf('piece');

type PartLimits = Parameters<typeof partSizeFor>[1];

function cutBySize(t: ExecutionContext, size: number, limits: PartLimits): void {
  const partSize = partSizeFor(size, limits);
  const count = Math.ceil(size / partSize);
  t.true(count <= limits.max_parts);
  t.true(size <= limits.single_part_max ? count === 1 : partSize >= limits.part_size);
  const last = size - (count - 1) * partSize;
  const parts = Array.from({ length: count }, (_, i) => ({
    digest: count === 1 ? whole : piece,
    size: i === count - 1 ? last : partSize,
  }));
  const planned = checkParts({ digest: whole, size, parts }, limits);
  t.is(
    planned.reduce((sum, part) => sum + part.size, 0),
    size,
  );
  t.true(planned.every((part, i) => part.number === i + 1 && part.offset === i * partSize));
}

test('parts cut by partSizeFor are always accepted, of the largest object too', (t) => {
  const max = DEFAULT_LIMITS.object_size_max;
  fc.assert(
    fc.property(fc.integer({ min: 1, max }), (size) => cutBySize(t, size, DEFAULT_LIMITS)),
    { numRuns: 50, examples: [[max], [DEFAULT_LIMITS.max_parts * DEFAULT_LIMITS.single_part_max + 1]] },
  );
});

test('whatever the limits, parts cut by partSizeFor are accepted', (t) => {
  const limits = fc
    .record({
      min_part_size: fc.integer({ min: 1, max: 50 }),
      more: fc.nat(100),
      most: fc.nat(200),
      max_parts: fc.integer({ min: 1, max: 20 }),
    })
    .map(({ min_part_size, more, most, max_parts }) => {
      const part_size = min_part_size + more;
      return { min_part_size, part_size, single_part_max: part_size + most, max_parts, object_size_max: 100_000 };
    });
  fc.assert(
    fc.property(limits, fc.integer({ min: 1, max: 100_000 }), (some, size) => {
      // Where there may be only one, nothing can be cut.
      if (some.max_parts > 1) cutBySize(t, size, some);
    }),
  );
});

test('one part needs no list', (t) => {
  t.deepEqual(checkParts({ digest: whole, size: 100 }, LIMITS), [{ number: 1, digest: whole, offset: 0, size: 100 }]);
});

const part = (size: number, digest = piece) => ({ size, digest });
const REFUSED: Array<[string, Parameters<typeof checkParts>[0], string]> = [
  ['no list above single_part_max', { digest: whole, size: 101 }, 'parts_required'],
  ['an empty list', { digest: whole, size: 10, parts: [] }, 'invalid_parts'],
  ['parts that sum to less', { digest: whole, size: 90, parts: [part(40), part(40)] }, 'invalid_parts'],
  ['parts that sum to more', { digest: whole, size: 70, parts: [part(40), part(40)] }, 'invalid_parts'],
  ['one part with another digest', { digest: whole, size: 40, parts: [part(40)] }, 'invalid_parts'],
  ['an empty part', { digest: whole, size: 40, parts: [part(40), part(0)] }, 'invalid_parts'],
  ['a small part that is not the last', { digest: whole, size: 49, parts: [part(9), part(40)] }, 'invalid_parts'],
  ['a part above single_part_max', { digest: whole, size: 141, parts: [part(101), part(40)] }, 'invalid_parts'],
  ['too many parts', { digest: whole, size: 60, parts: Array.from({ length: 6 }, () => part(10)) }, 'invalid_parts'],
  ['an object beyond object_size_max', { digest: whole, size: 2 ** 41 }, 'size_mismatch'],
];
for (const [what, object, code] of REFUSED) {
  test(`refuses ${what}`, (t) => {
    t.true(
      isStoreError(
        t.throws(() => checkParts(object, LIMITS)),
        code as never,
      ),
    );
  });
}
