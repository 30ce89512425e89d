import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const TREE = { 'raw/a.log': 'raw a', 'raw/b.log': 'raw b', 'report.md': 'summary' };

async function place(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  await writeTree(join(folder, 'run'), TREE);
  return { folder, service, cli };
}

const RULE = ['--retention-class', 'summary-evidence', '--file-rule', 'raw/**=30'];

test('files whose time is over: listed, removed by a pattern, left out by pull and counted apart by verify', async (t) => {
  const { folder, service, cli } = await place(t);
  const pushed = await cli('push', 'run', '--producer', 'tests', '--external-id', 'run-1', ...RULE, '--json');
  t.is(pushed.code, 0, pushed.stderr);
  const id = pushed.json.package_id as string;
  t.regex((await cli('show', 'run-1')).stdout, /file rules +30 days: raw\/\*\*\n/);
  t.regex((await cli('eligible')).stdout, /^No package can be deleted now, and no file of one\.\n$/);

  const early = await cli('rm', 'run-1', '--path', 'raw/**', '--reason', 'over', '--json');
  t.is(early.code, 4);
  t.like(early.json.error, { code: 'retention_active', path: 'raw/a.log', paths: ['raw/a.log', 'raw/b.log'] });
  t.regex(early.json.error.message, /^"raw\/a\.log" cannot be removed: it must be kept until 20.* Nor can 1 more\.$/);

  service.sleepDays(31);
  t.regex((await cli('eligible')).stdout, new RegExp(`${id} .* 2 +10 B +20\\d\\d-`));
  const all = await cli('rm', 'run-1', '--path', '**', '--reason', 'over');
  t.is(all.code, 4);
  t.regex(all.stderr, /"report\.md" cannot be removed: no file rule of the package names it/);
  t.is((await cli('rm', 'run-1', '--path', 'row/**', '--reason', 'over')).code, 3);
  const removed = await cli('rm', 'run-1', '--path', 'raw/**', '--reason', 'over');
  t.is(removed.code, 0, removed.stderr);
  t.regex(
    removed.stdout,
    /^2 files, 10 B, are removed from pkg_\w+\. The manifest stays; a sweep frees what nothing else needs\.\n$/,
  );
  const again = await cli('rm', 'run-1', '--path', 'raw/**', '--reason', 'over', '--json');
  t.deepEqual(again.json, { package_id: id, files: 0, bytes: 0, already_deleted: 2 });

  const pulled = await cli('pull', 'run-1', 'copy');
  t.is(pulled.code, 0, pulled.stderr);
  t.regex(pulled.stderr, /2 files of the package were removed when their time was over, and cannot be pulled\.\n/);
  t.is(pulled.stderr.match(/removed/g)?.length, 1, 'one note');
  t.deepEqual(await readdir(join(folder, 'copy')), ['report.md']);
  t.like((await cli('pull', 'run-1', 'copy', '--json')).json, { files: 0, skipped: 1, deleted: 2 });

  const verified = await cli('verify', 'run-1', '--against', 'copy');
  t.is(verified.code, 0, verified.stderr + verified.stdout);
  t.regex(
    verified.stdout,
    /: 1 file, 7 B read and hashed, all as the manifest says.*\n2 files were removed when their time was over/,
  );
  t.like((await cli('verify', 'run-1', '--json')).json, { ok: true, files: 1, deleted: 2, failures: [] });
  t.is((await cli('diff', 'run-1', 'copy')).code, 0);
  await rm(join(folder, 'copy/report.md'));
  await writeFile(join(folder, 'copy/other'), 'x');
  t.is((await cli('diff', 'run-1', 'copy')).code, 1, 'and nothing else may be missing');

  const read = await cli('cat', 'run-1', 'raw/a.log');
  t.is(read.code, 4);
  t.regex(read.stderr, /"raw\/a\.log" was removed from pkg_\w+ by local at 20.*: over/);
  t.regex((await cli('show', 'run-1')).stdout, /files +3 files, 17 B \(2 of them removed since\)/);
  t.regex((await cli('retention', 'run-1')).stdout, /files_deleted by local: over\n/);

  const once = await cli('push', 'run', '--producer', 'tests', '--external-id', 'run-1', ...RULE);
  t.is(once.code, 0, once.stderr);
  t.regex(once.stderr, /2 files of pkg_\w+ were removed since, when their time was over: their bytes are not kept\./);
});

test('more files than one decision takes: all that match, or none', async (t) => {
  const { folder, service, cli } = await place(t);
  const many = Object.fromEntries(Array.from({ length: 1_203 }, (_, n) => [`raw/${n}.log`, `line ${n}`]));
  await writeTree(join(folder, 'many'), { ...many, 'raw/kept/x': 'kept longer' });
  const rules = ['--retention-class', 'summary-evidence', '--file-rule', 'raw/*=30', '--file-rule', 'raw/kept/*=60'];
  const pushed = await cli('push', 'many', '--producer', 'tests', '--external-id', 'many', ...rules, '--json');
  t.is(pushed.code, 0, pushed.stderr);
  service.sleepDays(31);
  t.is((await cli('rm', 'many', '--path', 'raw/**', '--reason', 'over')).code, 4);
  t.like((await cli('show', 'many', '--json')).json, { deleted_file_count: 0 });
  const removed = await cli('rm', 'many', '--path', 'raw/*', '--reason', 'over', '--json');
  t.like(removed.json, { files: 1_203, already_deleted: 0 });
  const { events } = (await cli('retention', 'many', '--json')).json;
  t.is(events.filter(({ action }: { action: string }) => action === 'files_deleted').length, 2);
  t.like((await cli('pull', 'many', 'copy', '--json')).json, { files: 1, deleted: 1_203 });
});

test('rules that are none are wrong usage; an existing package with others is not what was asked for', async (t) => {
  const { cli } = await place(t);
  for (const rule of ['raw', '=3', 'raw=', 'raw=-1', 'raw=1.5', 'raw=99999', '+(a|b)=3', 'a//b=3']) {
    const { code, stderr } = await cli('push', 'run', '--producer', 'tests', '--file-rule', rule);
    t.is(code, 2, rule);
    t.regex(stderr, /--file-rule/, rule);
  }
  const push = (...rules: string[]) =>
    cli('push', 'run', '--producer', 'tests', '--external-id', 'x', '--json', ...rules);
  t.is((await push('--file-rule', 'a=b/**=30')).code, 0);
  t.is((await push()).code, 0, 'not asked for');
  t.is((await push('--file-rule', 'a=b/**=30')).code, 0);
  const other = await push('--file-rule', 'a=b/**=31');
  t.is(other.code, 4);
  t.deepEqual(other.json.error.asked, [{ field: 'file_rules', asked: 'a=b/**=31', is: 'a=b/**=30' }]);
});
