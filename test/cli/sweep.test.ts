import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { manifestKey } from '../../src/blobs/key-layout.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** A service whose class `scratch` expires at once, and whose sweeps wait for so long. */
async function place(t: ExecutionContext, grace: string) {
  const folder = await tempFolder(t);
  const classes = join(folder, 'classes.json');
  await writeFile(classes, '{"scratch": 0}');
  const service = await startTestService({
    env: { ARTIFACT_STORE_RETENTION_CLASSES: classes, ARTIFACT_STORE_SWEEP_GRACE: grace },
  });
  t.teardown(() => service.dispose());
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  return {
    service,
    cli,
    async deleted(name: string, content: string): Promise<string> {
      await writeTree(join(folder, name), { 'result.log': content });
      const pushed = await cli('push', name, '--producer', 'tests', '--retention-class', 'scratch', '--json');
      t.is(pushed.code, 0, pushed.stderr);
      const { package_id: id } = pushed.json;
      t.is((await cli('rm', id, '--reason', 'over')).code, 0);
      return id;
    },
  };
}

test('a sweep says what it would free, what it condemned, and what it freed', async (t) => {
  const { cli, deleted } = await place(t, '0s');
  t.regex((await cli('sweep')).stdout, /^Sweep swp_\w+: nothing to free \(\d+ requests? to storage\)\.\n$/);
  await deleted('run', 'x'.repeat(4_000));
  const listed = await cli('sweep');
  t.is(listed.code, 0, listed.stderr);
  t.regex(listed.stdout, /: nothing was changed \(.*\n {2}not needed {2}1 object, \d+ B: --apply condemns them\n$/);
  const condemned = await cli('sweep', '--apply');
  t.regex(condemned.stdout, /: 0 B freed \(.*\n {2}not needed {2}1 object, \d+ B: condemned now\n/);
  const freed = await cli('sweep', '--apply', '--json');
  t.is(freed.code, 0);
  t.like(freed.json, { state: 'done', apply: true, report: { freed: { count: 1 }, due: { count: 1 } } });
});

test('a registry that is older than the store: exit 4, and what to do', async (t) => {
  const { service, cli, deleted } = await place(t, '0s');
  await deleted('run', 'over');
  const unheard = manifestKey(newId('pkg', Date.now()) as PackageId);
  await service.services.blobs.objects.write(
    unheard,
    (async function* () {
      yield Buffer.from('{}');
    })(),
  );
  t.regex((await cli('sweep')).stdout, /only in the store {2}of pkg_\w+: the registry is older than the store/);
  const refused = await cli('sweep', '--apply', '--json');
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'registry_older');
  t.regex(refused.json.error.message, /nothing was removed\. Restore a newer backup/);
});
