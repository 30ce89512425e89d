import test from 'ava';
import { nearPaths } from '../../cli/client/pull/near-paths.ts';

const PATHS = ['logs/run.log', 'logs/server/error.log', 'reports/report.html', 'reports/Report-final.html', 'run.json'];

const CASES: Array<[written: string, near: string[]]> = [
  ['log/**', ['logs/run.log', 'logs/server/error.log']],
  ['reports/raport.html', ['reports/report.html', 'reports/Report-final.html']],
  ['repotrs/*.htm', ['reports/report.html', 'reports/Report-final.html']],
  ['report-final.html', ['reports/Report-final.html']],
  ['*.LOG', ['logs/run.log', 'logs/server/error.log']],
  ['sever/error*', ['logs/server/error.log']],
  ['runs.json', ['run.json']],
  ['reports', ['reports/report.html', 'reports/Report-final.html']],
  ['nothing/like/it', []],
  ['**', []],
  ['', []],
];
for (const [written, near] of CASES) {
  test(`near ${JSON.stringify(written)}`, (t) => {
    t.deepEqual(nearPaths(written, PATHS, 2), near);
  });
}

test('the nearest come first, in the order of the paths, and no more than were asked for', (t) => {
  t.deepEqual(nearPaths('b', ['abc', 'b', 'x', 'cb', 'b/c'], 5), ['b', 'b/c']);
  t.deepEqual(nearPaths('file-7', ['file-1', 'file-7', 'file-77', 'file-8'], 3), ['file-7', 'file-1', 'file-77']);
  t.deepEqual(nearPaths('file-7', ['file-1', 'file-8'], 0), []);
});
