import test from 'ava';
import fc from 'fast-check';
import { JsonMeter } from '../../src/core/json-meter.ts';
import { parseJson } from '../../src/core/parse-json.ts';
import { membersIn, repeatedName } from '../../src/core/repeated-name.ts';

const MANY = Number.MAX_SAFE_INTEGER;

function membersInText(text: string): number {
  const meter = new JsonMeter({ depth: MANY, values: MANY });
  meter.write(Buffer.from(text));
  return meter.members;
}

/** Names and texts that look like JSON, or that objects treat as special. */
const name = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', ':', '{"a":', '\\', '"', '__proto__', 'constructor', '0', '1', 'é', 'e\u0301'),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(name, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.uniqueArray(fc.tuple(name, tie('value')), { selector: ([key]) => key, maxLength: 4 }).map(Object.fromEntries),
  ),
}));

test('without a name that is repeated, a text has the members of its value', (t) => {
  fc.assert(
    fc.property(value, fc.boolean(), (any, pretty) => {
      const text = JSON.stringify(any, null, pretty ? '\t' : '');
      t.is(membersInText(text), membersIn(parseJson(text)));
      t.is(repeatedName(text), null);
    }),
    { numRuns: 1_000 },
  );
});

test('a name that is repeated is noticed wherever it stands, and however it is written, and is told', (t) => {
  const escaped = (text: string) =>
    `"${[...text]
      .map((c) =>
        c
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
      )
      .join('')}"`;
  fc.assert(
    fc.property(
      value,
      name,
      value,
      value,
      fc.boolean(),
      fc.boolean(),
      (around, key, first, second, nested, disguised) => {
        const again = disguised ? escaped(key) : JSON.stringify(key);
        const object = `{ ${JSON.stringify(key)} : ${JSON.stringify(first)},"${'other than any'}":0,${again}:${JSON.stringify(second)}}`;
        const text = nested ? `{"around":${JSON.stringify(around)},"within":[${object}]}` : object;
        t.true(membersIn(parseJson(text)) < membersInText(text));
        t.is(repeatedName(text), key);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('the same name in two objects is no repetition', (t) => {
  for (const text of [
    '[{"a":1},{"a":1}]',
    '{"a":{"a":{"a":1}}}',
    '{"a":[{"b":1},{"b":1}],"b":"a"}',
    '{"a":"{\\"a\\":1}"}',
  ]) {
    t.is(repeatedName(text), null, text);
    t.is(membersInText(text), membersIn(parseJson(text)), text);
  }
});

test('a long text takes as long as it is', (t) => {
  const long = `{"a":"${'\\"'.repeat(1e6)}","b":${'['.repeat(50)}"${' '.repeat(1e6)}"${']'.repeat(50)},"a":1}`;
  t.is(repeatedName(long), 'a');
});
