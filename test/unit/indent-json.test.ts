import test from 'ava';
import fc from 'fast-check';
import { indentJson } from '../../src/core/indent-json.ts';

test('JSON is indented as it stands: no digit, member or escape is changed', (t) => {
  t.is(
    indentJson('{"a":[1,2.50,1e400],"a":{},"b":[],"c":"\\u003c,:{"}'),
    '{\n  "a": [\n    1,\n    2.50,\n    1e400\n  ],\n  "a": {},\n  "b": [],\n  "c": "\\u003c,:{"\n}',
  );
  t.is(indentJson(' 12345678901234567890 '), '12345678901234567890');
  for (const none of ['', '{', '{"a":1,}', 'nothing', '{"a":1} x']) t.is(indentJson(none), null);
});

test('it is what JSON.stringify makes, of whatever JSON.parse reads', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, '\t'), (value, space) => {
      return (
        indentJson(JSON.stringify(value, null, space)) === JSON.stringify(JSON.parse(JSON.stringify(value)), null, 2)
      );
    }),
  );
  t.pass();
});

test('brackets amid brackets do not make a short text long', (t) => {
  t.is(indentJson('['.repeat(200) + ']'.repeat(200)), null);
  const bushy = `${'[0,'.repeat(60)}0${']'.repeat(60)}`;
  t.true((indentJson(bushy) ?? '').length < 70_000);
  t.is(
    indentJson(`${'['.repeat(60)}${Array(20_000).fill(0).join(',')}${']'.repeat(60)}`),
    null,
    'longer than it may be',
  );
});
