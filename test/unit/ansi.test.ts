import test from 'ava';
import fc from 'fast-check';
import { ansiRuns, PLAIN } from '../../src/core/ansi.ts';
import { shownText } from '../../src/core/shown-text.ts';

const ESC = '\u001b';
const looks = (line: string) => ansiRuns(line).runs.map(({ text, style }) => ({ text, ...changesOf(style) }));
function changesOf(style: object): object {
  return Object.fromEntries(
    Object.entries(style).filter(([name, value]) => PLAIN[name as keyof typeof PLAIN] !== value),
  );
}

test('colours and weights, and how a line ends for the next one', (t) => {
  t.deepEqual(looks(`${ESC}[31;1mred${ESC}[0m plain`), [
    { text: 'red', foreground: 1, bold: true },
    { text: ' plain' },
  ]);
  t.deepEqual(looks(`${ESC}[m${ESC}[97;44mx${ESC}[39my${ESC}[49;4mz`), [
    { text: 'x', foreground: 15, background: 4 },
    { text: 'y', background: 4 },
    { text: 'z', underline: true },
  ]);
  t.deepEqual(looks(`${ESC}[38;5;196mr${ESC}[38;2;0;255;0mg${ESC}[38:5:4mb${ESC}[48;5;232mk`), [
    { text: 'r', foreground: 9 },
    { text: 'g', foreground: 10 },
    { text: 'b', foreground: 4 },
    { text: 'k', foreground: 4, background: 0 },
  ]);
  const { after } = ansiRuns(`${ESC}[32mgreen`);
  t.is(ansiRuns('still', after).runs[0]?.style.foreground, 2);
});

test('every other sequence is left out, with what belongs to it', (t) => {
  for (const sequence of [
    '[2J',
    '[1;1H',
    ']0;title\u0007',
    ']8;;http://x\u001b\\',
    'c',
    '(B',
    'P1$r\u001b\\',
    '[?25l',
    '[>4;2m',
  ]) {
    t.deepEqual(looks(`a${ESC}${sequence}b`), [{ text: 'a' }, { text: 'b' }], JSON.stringify(sequence));
  }
  t.deepEqual(looks('a\u009b31mb'), [{ text: 'a' }, { text: 'b', foreground: 1 }]);
  t.deepEqual(looks(`a${ESC}]0;never ended`), [{ text: 'a' }]);
});

test('whatever comes, the runs have nothing but characters of it, in their order, and colours that exist', (t) => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(ESC, `${ESC}[`, `${ESC}]`, '\u009b', 'm', ';', '38', '5', '255', '<script>', '&'),
    fc.array(fc.nat(400)).map((codes) => `${ESC}[${codes.join(';')}m`),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const line = pieces.join('');
      const { runs } = ansiRuns(line);
      let at = 0;
      for (const { text } of runs) {
        at = line.indexOf(text, at);
        if (at === -1) return false;
        at += text.length;
      }
      const colours = runs.flatMap(({ style }) => [style.foreground, style.background]);
      return colours.every((colour) => colour === null || (Number.isInteger(colour) && colour >= 0 && colour < 16));
    }),
  );
  t.pass();
});

test('a text that is shown has nothing that hides or moves what stands beside it', (t) => {
  t.is(shownText('a\u0000\u001b\u007f\u202e\u200b\tb'), 'a␀␛␡<U+202E><U+200B>\tb');
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (text) => !/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u.test(shownText(text).replaceAll('\t', '')),
    ),
  );
});
