import test from 'ava';
import fc from 'fast-check';
import { packRows, unpackRows } from '../../src/registry/row-pack.ts';

test('rows come out as they went in, bytes and nothing among them', (t) => {
  const cell = fc.oneof(fc.string(), fc.integer(), fc.constant(null));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    fc.constant(null),
  );
  const rows = fc.array(fc.record({ text: cell, digest: bytes, 'a b': cell, more: bytes }), { maxLength: 20 });
  fc.assert(
    fc.property(rows, (given) => {
      const names = ['text', 'digest', 'a b', 'more'] as const;
      const pack = packRows(
        [...names],
        given.map((row) => names.map((name) => row[name])),
      );
      t.deepEqual(unpackRows(structuredClone(pack, { transfer: pack.bytes === null ? [] : [pack.bytes] })), given);
    }),
  );
});
