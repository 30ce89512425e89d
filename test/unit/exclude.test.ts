import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Exclude, IGNORE_FILE, readExclude } from '../../cli/client/tree/exclude.ts';
import { LeftOutList, withLeftOut } from '../../cli/client/tree/left-out.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

test('patterns speak of paths in the directory; of a folder that matches everything below is covered', (t) => {
  const cases: Array<[pattern: string, covered: string[], others: string[]]> = [
    ['logs', ['logs', 'logs/a', 'logs/a/b'], ['x/logs', 'logs.txt']],
    ['logs/', ['logs/a'], ['logs', 'x/logs/a']],
    ['**/logs', ['logs/a', 'x/y/logs/a', 'x/logs'], ['x/logs.txt']],
    ['*.tmp', ['a.tmp', 'a.tmp/b'], ['x/a.tmp', '.a.tmp']],
    ['**/*.tmp', ['a.tmp', 'x/y/a.tmp'], ['x/a.tmp2', 'x/.a.tmp', '.x/a.tmp']],
    ['log/**', ['log/a', 'log/a/b'], ['log', 'log/.a']],
    ['**/.*', ['.a', 'x/.git/config'], ['a']],
    ['[#]x', ['#x'], ['x']],
    ['{a,b}/c?', ['a/c1', 'b/c2/deep'], ['a/c', 'c/c1']],
  ];
  for (const [pattern, covered, others] of cases) {
    const exclude = Exclude.of([pattern]) as Exclude;
    for (const path of covered) t.true(exclude.covers(path), `${pattern} covers ${path}`);
    for (const path of others) t.false(exclude.covers(path), `${pattern} does not cover ${path}`);
  }
  t.is(Exclude.of([]), null);
});

test('a pattern that could never match, or says something else than it seems to, is refused', (t) => {
  const wrong: Array<[string, RegExp]> = [
    ['/abs', /^--exclude: the pattern "\/abs" is no relative path/],
    ['./a', /is no relative path/],
    ['../a', /is no relative path/],
    ['a//b', /is no relative path/],
    ['', /is no relative path/],
    ['!a', /begins with "!"/],
    ['a\\*', /holds a backslash: write \[\*\]/],
    ['a\nb', /holds a control character/],
    ['x'.repeat(40_000), /40000 bytes, more than 32768/],
  ];
  for (const [pattern, message] of wrong) t.throws(() => Exclude.of([pattern]), { code: 'wrong_usage', message });
});

test('the ignore file: a glob a line, comments, blank lines; what is wrong is told with its line', async (t) => {
  const folder = await tempFolder(t);
  t.is(readExclude(folder, []), null);
  await writeTree(folder, { [IGNORE_FILE]: '\ufeff# what no one needs\n\n  **/*.tmp  \nbuild/\r\n#x' });
  t.deepEqual(readExclude(folder, ['logs'])?.patterns, ['logs', '**/*.tmp', 'build/']);
  t.is(readExclude(join(folder, 'nowhere'), []), null, 'that it is not there is told by the walk');

  await writeTree(folder, { [IGNORE_FILE]: 'fine\n\n!kept\n' });
  t.throws(() => readExclude(folder, ['x']), {
    message: /^\.artifact-store-ignore, line 3: the pattern "!kept" begins/,
  });
  await writeTree(folder, { [IGNORE_FILE]: Buffer.from([0x61, 0xff]) });
  t.throws(() => readExclude(folder, []), { message: /not valid UTF-8/ });
  await writeTree(folder, { [IGNORE_FILE]: '#'.repeat(70_000) });
  t.throws(() => readExclude(folder, []), { message: /70000 bytes/ });
  const [linked, made] = [join(folder, 'linked'), join(folder, 'made')];
  await mkdir(linked);
  await symlink('/etc/hostname', join(linked, IGNORE_FILE));
  t.throws(() => readExclude(linked, []), { code: 'wrong_usage', message: /is a symlink/ });
  await mkdir(join(made, IGNORE_FILE), { recursive: true });
  t.throws(() => readExclude(made, []), { message: /not a regular file/ });
});

test('the record of what is left out stays small', (t) => {
  const notes: string[] = [];
  const list = new LeftOutList((text) => notes.push(text));
  for (let nth = 0; nth < 1_000; nth += 1) list.add(`${nth}`, nth % 2 === 0 ? 'symlink' : 'excluded', 'is a symlink');
  const record = list.end(['a']);
  t.like(record, { count: 1_000, by: { symlink: 500, special: 0, excluded: 500 }, patterns: ['a'] });
  t.is(record?.paths.length, 100);
  t.is(notes.length, 101);
  t.is(notes.at(-1), 'left out: 900 more');

  const long = new LeftOutList();
  for (let nth = 0; nth < 100; nth += 1) long.add('\n'.repeat(1_000) + nth, 'excluded', 'matches');
  t.true(JSON.stringify(long.end([])).length < 40_000);
  t.is(new LeftOutList().end(['a']), null);
});

test('metadata gets the record, and keeps its other members', (t) => {
  const record = { count: 1, by: { symlink: 0, special: 0, excluded: 1 }, paths: ['a'], patterns: ['a'] };
  t.deepEqual(withLeftOut({ x: 1 }, record), { x: 1, left_out: record });
  t.deepEqual(withLeftOut(undefined, record), { left_out: record });
  t.is(withLeftOut(undefined, null), undefined);
  t.throws(() => withLeftOut({ left_out: 1 }, null), { code: 'wrong_usage', message: /a member "left_out"/ });
});
