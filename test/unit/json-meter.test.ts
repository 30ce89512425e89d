import test from 'ava';
import fc from 'fast-check';
import { JsonMeter } from '../../src/core/json-meter.ts';

const MANY = Number.MAX_SAFE_INTEGER;

/** In pieces of every size: a text may be cut anywhere. */
function measured(text: string, limits: { depth: number; values: number }, piece = 1): boolean {
  const meter = new JsonMeter(limits);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += piece) {
    if (meter.write(bytes.subarray(at, at + piece)) !== null) return false;
  }
  return true;
}

/** Values but the first, and the members and elements below them. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const members = Object.values(value);
  return 1 + Math.max(0, members.length - 1) + members.reduce((sum: number, member) => sum + valuesIn(member), 0);
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test('depth and values are those of the value, whatever its strings hold', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 9 }), fc.boolean(), (value, piece, pretty) => {
      const text = JSON.stringify(value, null, pretty ? 2 : 0);
      const depth = depthOf(value);
      const values = valuesIn(value);
      t.true(measured(text, { depth, values }, piece));
      if (values > 0) t.false(measured(text, { depth, values: values - 1 }, piece));
      if (depth > 0) t.false(measured(text, { depth: depth - 1, values }, piece));
    }),
  );
});

test('brackets and commas in strings count for nothing, behind escaped quotes either', (t) => {
  for (const text of ['"[[[,,,{{{"', '"\\"[[[,,,"', '"\\\\"', '{"[,":"\\\\\\",["}', '"é[,"']) {
    t.true(measured(text, { depth: 1, values: 1 }), text);
  }
  t.false(measured('"\\\\",', { depth: 1, values: 0 }));
});

test('text that is not JSON does not fail the meter', (t) => {
  for (const text of [']]]]', '}{', '\u0000', '"', ',']) t.true(measured(text, { depth: 5, values: MANY }));
});
