import test from 'ava';
import fc from 'fast-check';
import { buffersOf, packRows, unpackRows } from '../../src/registry/row-pack.ts';

test('rows come out as they went in, bytes and nothing among them', (t) => {
  const nothing = fc.constant(null);
  const text = fc.oneof(fc.string({ unit: 'binary' }), nothing);
  const number = fc.oneof(fc.integer(), fc.double({ noNaN: true }), fc.maxSafeInteger(), nothing);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    nothing,
  );
  const row = fc.record({ text, number, 'a b': bytes, mixed: fc.oneof(text, number, bytes), nothing });
  const rows = fc.array(row, { maxLength: 20 });
  fc.assert(
    fc.property(rows, (given) => {
      const names = ['text', 'number', 'a b', 'mixed', 'nothing'] as const;
      const pack = packRows(
        [...names],
        given.map((row) => names.map((name) => row[name])),
      );
      t.deepEqual(unpackRows(structuredClone(pack, { transfer: buffersOf(pack) })), given);
    }),
  );
});
