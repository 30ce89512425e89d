import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { type OldStore, readOldStore } from '../support/old-store.ts';
import { OLD_EXECUTABLE, OLD_TREES, type OldTree } from '../support/old-trees.ts';
import type { TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** What version 0.1.0 wrote is opened, migrated, read byte for byte and continued. */
export function oldStoreSuite(
  test: TestFn,
  { name, open }: { name: string; open(t: ExecutionContext, store: OldStore): Promise<TestService> },
): void {
  async function opened(t: ExecutionContext) {
    const store = await readOldStore();
    const service = await open(t, store);
    const folder = await tempFolder(t);
    const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
    const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
    return { store, service, api: apiOf(service.url), folder, cli };
  }

  test(`${name}: each finalized package is what it was, byte for byte`, async (t) => {
    const { store, api, folder, cli } = await opened(t);
    for (const tree of ['first', 'second', 'revised'] satisfies OldTree[]) {
      const { id, manifest_digest } = store.packages[tree];
      const copy = join(folder, tree);
      const pulled = await cli('pull', id, copy);
      t.is(pulled.code, 0, pulled.stderr);
      t.deepEqual(await readTree(copy), digestsOf(OLD_TREES[tree]), tree);
      t.is((await cli('verify', id)).code, 0);
      t.is((await cli('diff', id, copy)).code, 0);
      t.is(sha256((await cli('manifest', id)).stdout), manifest_digest as string);
      for (const [path, text] of Object.entries(OLD_TREES[tree])) {
        const url = `/v1/packages/${id}/files/${path.split('/').map(encodeURIComponent).join('/')}?redirect=false`;
        if (text !== '') t.is((await api.call('GET', url, undefined, { range: 'bytes=1-3' })).status, 206, path);
      }
    }
    t.is((await stat(join(folder, 'first', OLD_EXECUTABLE))).mode & 0o111, 0o111);
    t.is((await cli('doctor')).code, 0);
  });

  test(`${name}: packages, retention, revisions and the audit are told as before`, async (t) => {
    const { store, api } = await opened(t);
    for (const [what, was] of Object.entries(store.packages)) {
      const { retention, ...rest } = was;
      const { body } = await api.get(`/v1/packages/${was.id}`);
      t.like(body, rest, what);
      // What may be deleted depends on today.
      t.like(body.retention, { class: retention.class, expires_at: retention.expires_at, held: retention.held }, what);
      t.is(body.stored_size !== null, was.finalized_at !== null, what);
    }
    t.deepEqual((await api.get('/v1/audit?limit=1000')).body.items.slice(0, store.audit.length), store.audit);
    const { body } = await api.get('/v1/packages?producer=old&external_id=chain');
    t.deepEqual(
      body.items.map(({ id }: { id: string }) => id),
      [store.packages.revised.id, store.packages.first.id],
    );
    const { holds } = (await api.get(`/v1/packages/${store.packages.second.id}/retention`)).body;
    t.like(holds, [{ reason: 'a case', reference: 'CASE-1', released_at: null }]);
  });

  test(`${name}: what was begun is ended, and what was stored is not sent again`, async (t) => {
    const { store, folder, cli } = await opened(t);
    for (const [tree, objects] of [
      ['open', 0],
      ['partial', 2],
    ] as const) {
      await writeTree(join(folder, tree), OLD_TREES[tree]);
      const pushed = await cli('push', tree, '--producer', 'old', '--external-id', tree, '--json');
      t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
      t.like(pushed.json, { package_id: store.packages[tree].id, status: 'finalized', uploaded: { objects } });
      t.is((await cli('pull', pushed.json.package_id, `${tree} copy`)).code, 0);
      t.deepEqual(await readTree(join(folder, `${tree} copy`)), digestsOf(OLD_TREES[tree]));
    }
    await writeTree(join(folder, 'again'), { ...OLD_TREES.first, new: 'to be sent\n' });
    const again = await cli('push', 'again', '--producer', 'old', '--json');
    t.is(again.code, 0, again.stderr + again.stdout);
    t.like(again.json, { status: 'finalized', uploaded: { objects: 1 } });
    t.is((await cli('verify', again.json.package_id)).code, 0);
  });
}

function digestsOf(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).map(([path, text]) => [path, sha256(text).slice('sha256:'.length)]));
}
