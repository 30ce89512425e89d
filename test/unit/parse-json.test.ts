import test from 'ava';
import fc from 'fast-check';
import { parseJson } from '../../src/core/parse-json.ts';

/** Names that V8 takes for each other, and such as objects treat as special. */
const name = fc.constantFrom(
  '',
  'a',
  '~',
  '~0',
  '~~',
  '"',
  '\\',
  '\\"',
  '"\\',
  '\n',
  '\\\\',
  '__proto__',
  '0',
  '1',
  'é',
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(name, fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.uniqueArray(fc.tuple(name, tie('value')), { selector: ([key]) => key, maxLength: 4 }).map(Object.fromEntries),
  ),
}));

test('the trap: V8 takes a name for another that objects of its shape had', (t) => {
  JSON.parse('{"h":[],"\\\\":0}');
  // When this fails, V8 is mended: src/core/parse-json.ts may go.
  t.deepEqual(Object.keys(JSON.parse('{"h":1,"\\"":2}')), ['h', '\\']);
  t.deepEqual(Object.keys(parseJson('{"h":1,"\\"":2}') as object), ['h', '"']);
});

test('what was written is read, names in their order', (t) => {
  fc.assert(
    fc.property(value, fc.boolean(), (any, pretty) => {
      const text = JSON.stringify(any, null, pretty ? '\t' : '');
      const read = parseJson(text);
      t.deepEqual(read, any);
      t.is(JSON.stringify(read, null, pretty ? '\t' : ''), text);
    }),
    { numRuns: 2_000 },
  );
});

test('a name is read however it is written, and a text that is a name’s stand-in is left alone', (t) => {
  t.deepEqual(parseJson('{"\\u0061" : 1, "b\\/" :{"\\"":"\\":"}, "~0":"~1\\n"}'), {
    a: 1,
    'b/': { '"': '":' },
    '~0': '~1\n',
  });
  t.deepEqual(Object.keys(parseJson('{"\\u005f_proto__":{"a\\n":1}}') as object), ['__proto__']);
});

test('what is no JSON is refused, and any depth is read', (t) => {
  for (const text of ['{"\\q":1}', '{"\\":1}', '{"a\n\\n":1}', '"\\n":1', '{"\\n":1,}', '{"\\n"}', '\\', '{"a":1}\\'])
    t.throws(() => parseJson(text), { instanceOf: SyntaxError }, text);
  const depth = 100_000;
  let at = parseJson(`${'{"\\n":'.repeat(depth)}1${'}'.repeat(depth)}`) as Record<string, unknown> | number;
  let found = 0;
  for (; typeof at === 'object'; found += 1) at = at['\n'] as Record<string, unknown> | number;
  t.is(found, depth);
});
