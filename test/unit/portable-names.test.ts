import test from 'ava';
import fc from 'fast-check';
import { comparePaths, findConflict, type LogicalPath, pathProblem } from '../../src/core/logical-path.ts';
import { PortableNames } from '../../src/core/portable-names.ts';

function namesOf(paths: readonly string[]): Map<string, string> {
  const names = new PortableNames();
  const ordered = paths.toSorted(comparePaths);
  for (const path of ordered) names.add(path);
  names.end();
  names.settle();
  return new Map(ordered.map((path) => [path, names.of(path)]));
}

const SEGMENT = fc.oneof(
  fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom(...'aAäÄſsSßk\u212aK.: ~2_\\') }),
  fc.constantFrom(
    'NUL',
    'nul.txt',
    'Con',
    'COM1 .x',
    '_NUL',
    'lpt¹',
    'a~2.TXT',
    'A~2.txt',
    'a.txt',
    'A.TXT',
    'x'.repeat(255),
  ),
  fc.string({ minLength: 120, maxLength: 255, unit: fc.constantFrom(...'aA.é ') }),
);
const PATHS = fc
  .uniqueArray(
    fc.array(SEGMENT, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/')),
    { maxLength: 25 },
  )
  .map((paths) => paths.filter((path) => pathProblem(path) === null))
  .map((paths) => {
    const kept: LogicalPath[] = [];
    for (const path of paths as LogicalPath[]) if (findConflict([...kept, path]) === null) kept.push(path);
    return kept;
  });

/** As Windows says it, in other words than the code. */
function isPortable(name: string): boolean {
  const [stem = ''] = name.toUpperCase().split('.');
  const devices = [
    'CON',
    'PRN',
    'AUX',
    'NUL',
    'CONIN$',
    'CONOUT$',
    ...[...'0123456789¹²³'].flatMap((n) => [`COM${n}`, `LPT${n}`]),
  ];
  const special = [...name].some((c) => '<>:"/\\|?*'.includes(c) || c < ' ');
  return (
    !special &&
    !name.endsWith('.') &&
    !name.endsWith(' ') &&
    !devices.includes(stem.trimEnd()) &&
    Buffer.byteLength(name) <= 255
  );
}

test('any paths: names are portable, differ without case, are the folder of none, and stay when mapped again', (t) => {
  fc.assert(
    fc.property(PATHS, (paths) => {
      const names = namesOf(paths);
      const mapped = [...names.values()];
      for (const name of mapped) for (const segment of name.split('/')) t.true(isPortable(segment), segment);
      const folded = mapped.map((name) => name.toUpperCase().toLowerCase());
      t.is(new Set(folded).size, paths.length, 'no two are one');
      t.is(findConflict(folded.map((name) => name.normalize('NFC')) as LogicalPath[]), null);
      t.deepEqual([...namesOf(mapped).values()].toSorted(), mapped.toSorted(), 'once more changes nothing');
      for (const [path, name] of names) t.is(path.split('/').length, name.split('/').length);
    }),
    { numRuns: 300 },
  );
});

test('names become what a person recognizes', (t) => {
  const names = namesOf([
    'README.md',
    'readme.md',
    'Readme.md',
    'logs/a:b?.txt',
    'logs/a_b_.txt',
    'NUL.tar.gz',
    'aux/x',
    'trailing. ',
    'Docs/one',
    'docs/two',
    'back\\slash',
    'plain/file.txt',
    '.hidden',
  ]);
  t.deepEqual(Object.fromEntries(names), {
    'README.md': 'README.md',
    'readme.md': 'readme~3.md',
    'Readme.md': 'Readme~2.md',
    'logs/a:b?.txt': 'logs/a_b_~2.txt',
    'logs/a_b_.txt': 'logs/a_b_.txt',
    'NUL.tar.gz': '_NUL.tar.gz',
    'aux/x': '_aux/x',
    'trailing. ': 'trailing__',
    'Docs/one': 'Docs/one',
    'docs/two': 'docs~2/two',
    'back\\slash': 'back_slash',
    'plain/file.txt': 'plain/file.txt',
    '.hidden': '.hidden',
  });
});
