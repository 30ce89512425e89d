import { chmod, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const LONG_AGO = 1_600_000_000;
const service = await startTestService();
test.after.always(() => service.dispose());

/** A package with a script, a program that is made in ranges and has two paths, and files that are neither. */
async function place(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const program = Buffer.alloc(5 * 1024 ** 2, folder);
  const run = await writeTree(join(folder, 'run'), {
    'bin/tool.sh': '#!/bin/sh\n',
    'bin/program': program,
    'doc/program.txt': program,
    'report.txt': folder,
  });
  for (const path of ['bin/tool.sh', 'bin/program']) {
    await chmod(join(run, path), 0o755);
    await utimes(join(run, path), LONG_AGO, LONG_AGO);
  }
  const pushed = await runCli(['push', run, '--producer', 'tests', '--json'], { env });
  t.is(pushed.code, 0, pushed.stderr);
  const id = pushed.json.package_id as string;
  const modeOf = async (path: string) => ((await stat(join(folder, path))).mode & 0o777).toString(8);
  return {
    folder,
    mtimeOf: async (path: string) => (await stat(join(folder, path))).mtimeMs,
    modesIn: async (copy: string) =>
      Promise.all(
        ['bin/tool.sh', 'bin/program', 'doc/program.txt', 'report.txt'].map((path) => modeOf(join(copy, path))),
      ),
    pull: async (copy: string, umask: string, ...options: string[]) => {
      const under = join(folder, `umask-${umask}`);
      await writeFile(under, `#!/bin/sh\numask ${umask}\nexec "$@"\n`, { mode: 0o755 });
      const done = await runCli(['pull', id, copy, ...options], { env, cwd: folder, under: [under] });
      t.is(done.code, 0, done.stdout + done.stderr);
      return done;
    },
  };
}

test('executable files are executable again, as the umask allows; times come with --preserve', async (t) => {
  const { pull, modesIn, mtimeOf } = await place(t);
  await pull('plain', '022');
  t.deepEqual(await modesIn('plain'), ['755', '755', '644', '644']);
  t.true((await mtimeOf('plain/bin/tool.sh')) > LONG_AGO * 1_000);
  await pull('private', '077', '--preserve');
  t.deepEqual(await modesIn('private'), ['700', '700', '600', '600']);
  for (const path of ['bin/tool.sh', 'bin/program']) t.is(await mtimeOf(`private/${path}`), LONG_AGO * 1_000);
});

test('an existing file without its executable bit gets it, which is reported; no bit is removed, nothing else changes', async (t) => {
  const { folder, pull, modesIn, mtimeOf } = await place(t);
  await pull('copy', '022');
  const at = (path: string) => join(folder, 'copy', path);
  for (const [path, mode] of [
    ['bin/tool.sh', 0o640],
    ['bin/program', 0o600],
    ['report.txt', 0o777],
  ] as const) {
    await chmod(at(path), mode);
    await utimes(at(path), LONG_AGO + 1, LONG_AGO + 1);
  }
  const again = await pull('copy', '027', '--preserve', '--json');
  t.like(again.json, { files: 0, skipped: 4, made_executable: 2 });
  t.deepEqual(await modesIn('copy'), ['750', '710', '644', '777']);
  t.is(await mtimeOf('copy/bin/tool.sh'), (LONG_AGO + 1) * 1_000, 'what was there keeps its time');
  await chmod(at('bin/tool.sh'), 0o644);
  await chmod(at('bin/program'), 0o700);
  t.regex((await pull('copy', '022')).stdout, /4 files there already, 1 of them made executable\.\n$/);
  t.regex((await pull('copy', '022')).stdout, /4 files there already\.\n$/);
  t.deepEqual(await modesIn('copy'), ['755', '700', '644', '777'], 'who may run it is for its owner to say');
});
