import test from 'ava';
import fc from 'fast-check';
import { parseFileSearch } from '../../src/core/file-search.ts';

const bytes = (text: string) => Buffer.from(text);
const name = fc.string({ unit: 'binary', minLength: 3, maxLength: 12 }).filter((text) => !/[/*]/.test(text));

test('a name with a * finds what begins so, and nothing else, by the order of bytes', (t) => {
  fc.assert(
    fc.property(name, fc.string({ unit: 'binary', maxLength: 8 }), (beginning, rest) => {
      const search = parseFileSearch({ name: `${beginning}*` });
      if (!('from' in search)) return false;
      const within = (text: string): boolean =>
        Buffer.compare(bytes(search.from), bytes(text)) <= 0 && Buffer.compare(bytes(text), bytes(search.end)) < 0;
      return within(beginning + rest) && within(rest) === rest.startsWith(beginning);
    }),
    {
      examples: [
        ['\u{10ffff}'.repeat(3), '\u{10ffff}'],
        ['ab\ud7ff', ''],
        ['aa\u{10ffff}', 'ab'],
      ],
    },
  );
  t.pass();
});
