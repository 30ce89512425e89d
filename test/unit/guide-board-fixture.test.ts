import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { FIXTURE_RUN, writeRun } from '../../fixtures/generate-guide-board.ts';
import { TCK_STATUSES } from '../../fixtures/generator/tck-model.ts';

async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

const base = await mkdtemp(path.join(tmpdir(), 'guide-board-fixture-'));
test.after.always(() => rm(base, { recursive: true, force: true }));

test('the fixture is byte for byte what the generator writes', async (t) => {
  const again = path.join(base, 'again');
  await writeRun(again);
  const files = await filesOf(FIXTURE_RUN);
  t.deepEqual(await filesOf(again), files);
  for (const file of files) {
    const [stored, made] = await Promise.all([
      readFile(path.join(FIXTURE_RUN, file)),
      readFile(path.join(again, file)),
    ]);
    t.true(stored.equals(made), `${file} differs: run node fixtures/generate-guide-board.ts`);
  }
});

test('the fixture has what a run can be hard for', async (t) => {
  const files = await filesOf(FIXTURE_RUN);
  const sizes = await Promise.all(files.map(async (file) => (await stat(path.join(FIXTURE_RUN, file))).size));
  t.true(sizes.includes(0), 'an empty file');
  t.true(Math.max(...sizes) >= 2 * 1024 ** 2, 'a file of some MiB');
  t.true(sizes.reduce((sum, size) => sum + size, 0) < 3.5 * 1024 ** 2, 'small enough to check in');
  t.true(
    files.some((file) => file.includes(' ')),
    'a name with a space',
  );
  t.true(
    files.some((file) => /[äöü]/.test(file)) && files.some((file) => /\p{Script=Han}/u.test(file)),
    'other letters',
  );
});

test('a TCK report in each format says all six statuses', async (t) => {
  const reports = (await filesOf(FIXTURE_RUN)).filter((file) => file.includes('Bekannte Lücken'));
  t.deepEqual(reports.map((file) => path.extname(file)).sort(), ['.html', '.json', '.txt', '.xml']);
  for (const report of reports) {
    const text = await readFile(path.join(FIXTURE_RUN, report), 'utf8');
    t.deepEqual(
      TCK_STATUSES.filter((status) => !text.includes(status)),
      [],
      report,
    );
  }
});

test('the password is masked in the TCK reports and the client secret is not, as with the real TCK', async (t) => {
  const report = await readFile(path.join(FIXTURE_RUN, 'artifacts/open-cmis-tck/reports/tck-report.txt'), 'utf8');
  t.regex(report, /opencmis\.password = \*+$/m);
  t.regex(report, /oauth\.clientSecret = PLACEHOLDER/);
});

test('it grows: more check groups, a larger log', async (t) => {
  const grown = path.join(base, 'grown');
  await writeRun(grown, { extraGroups: 3, mib: 0 });
  const files = await filesOf(grown);
  t.is(files.length, (await filesOf(FIXTURE_RUN)).length + 3 * 4);
  t.true(files.includes('artifacts/open-cmis-tck/tck/extra-0003/invocation.json'));
  const large = path.join(base, 'large');
  await writeRun(large, { mib: 3 });
  t.true((await stat(path.join(large, 'artifacts/open-cmis-tck/tck/object-content/stdout.log'))).size >= 3 * 1024 ** 2);
});

test('a folder that holds something is not written into', async (t) => {
  await t.throwsAsync(writeRun(FIXTURE_RUN), { message: /is not empty/ });
});
