import { matchesGlob } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { compileGlob, globProblem } from '../../src/core/glob.ts';

const GLOB_PARTS = 'a b * ** ? / / . {a,b} {,b} [ab] [!a] [a-b] [^b] é 😀 {a/b,b} + ! # - = ( ) @'.split(' ');
const PATH_PARTS = 'a b / / . é 😀 + ! # - = [ ] { } ,'.split(' ');

const globs = fc
  .array(fc.constantFrom(...GLOB_PARTS), { minLength: 1, maxLength: 7 })
  .map((parts) => parts.join(''))
  .filter((glob) => globProblem(glob) === null);
const paths = fc
  .array(fc.constantFrom(...PATH_PARTS), { minLength: 1, maxLength: 7 })
  .map((parts) => parts.join(''))
  .filter((path) => !path.split('/').some((segment) => ['', '.', '..'].includes(segment)));

test('a glob matches what `pull --path` matches with it', (t) => {
  let matched = 0;
  fc.assert(
    fc.property(globs, paths, (glob, path) => {
      const expected = matchesGlob(path, glob);
      if (expected) matched += 1;
      return compileGlob(glob)(path) === expected;
    }),
    { numRuns: 20_000 },
  );
  t.true(matched > 200, `${matched} of them match`);
});

test('what people write', (t) => {
  const yes = [
    ['artifacts/**', 'artifacts/open-cmis-tck/tck/a/stdout.log'],
    ['**/*.log', 'a/b/c.log'],
    ['**/*.log', 'c.log'],
    ['raw/*', 'raw/a'],
    ['*.{log,txt}', 'a.txt'],
    ['run-[0-9]/x', 'run-7/x'],
    ['a/**/b', 'a/b'],
    ['[*]', '*'],
  ] as const;
  for (const [glob, path] of yes) t.true(compileGlob(glob)(path), `${glob} ${path}`);
  const no = [
    ['raw/*', 'raw/a/b'],
    ['raw/**', 'raw/.hidden'],
    ['raw', 'raw/a'],
    ['*', '.x'],
    ['[!a]', 'a'],
  ] as const;
  for (const [glob, path] of no) t.false(compileGlob(glob)(path), `${glob} ${path}`);
});

test('patterns that make regular expressions hang are refused, or answered in time', (t) => {
  t.regex(globProblem('*(*(*(a)))b') ?? '', /extended/);
  t.regex(globProblem('{a,b}'.repeat(20)) ?? '', /more than 64 alternatives/);
  t.regex(globProblem('{1..1000000000}') ?? '', /braces/);
  t.regex(globProblem('*a'.repeat(17)) ?? '', /more than 16 times a \*/);
  // Exponential for whoever tries every split: steps are counted by the time that a regular expression would never take.
  const stars = '*a'.repeat(120);
  t.false(compileGlob(`${stars}b`)('a'.repeat(255)));
  const deep = '**/a/'.repeat(100);
  t.false(compileGlob(`${deep}b`)(Array(400).fill('a').join('/')));
});
