import test from 'ava';
import { crcTables } from '../../src/usecases/crc-tables.ts';

const MEMBER = 5;

test('what was learnt of an archive is there the next time, of those that were used last', (t) => {
  const tables = crcTables(20 * MEMBER);
  tables.of('a', 10).set(3, 0xffff_ffff);
  tables.of('b', 10).set(0, 7);
  t.deepEqual([tables.of('a', 10).get(3), tables.of('a', 10).get(4)], [0xffff_ffff, null]);
  tables.of('c', 5);
  t.is(tables.of('b', 10).get(0), null, 'b was used before a, and there was no room for three');
  t.is(tables.of('a', 10).get(3), null, 'nor now for a');
});

test('one that is larger than all room is kept until the next', (t) => {
  const tables = crcTables(20 * MEMBER);
  tables.of('large', 100).set(99, 1);
  t.is(tables.of('large', 100).get(99), 1);
  tables.of('small', 1);
  t.is(tables.of('large', 100).get(99), null);
});
