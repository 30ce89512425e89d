import { join } from 'node:path';
import test from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const service = await startTestService();
const api = apiOf(service.url);
const id = await api.preserve({ 'out/report.html': '<p>fine', 'out/log.txt': 'a line' }, { external_id: 'run-1' });
test.after.always(() => service.dispose());

test('find takes a file that is here, a digest, or a name', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, { 'copy.bin': '<p>fine', 'log.txt': 'something else', 'x/other': 'nobody has this' });
  const cli = (...args: string[]) => runCli(args, { cwd: folder, env: { ARTIFACT_STORE_URL: service.url } });
  const digest = sha256('<p>fine');
  for (const named of [
    'copy.bin',
    digest,
    digest.slice(7),
    digest.slice(7).toUpperCase(),
    digest.toUpperCase(),
    'report.html',
    'rep*',
  ]) {
    const { code, json, stderr } = await cli('find', named, '--json');
    t.is(code, 0, stderr);
    t.is(json.items.length, 1, named);
    t.like(json.items[0], { package_id: id, path: 'out/report.html', digest, state: 'stored', checked_at: null });
  }
  const shown = await cli('find', 'report.html');
  t.regex(shown.stdout, /^PACKAGE +STATE +SINCE +CHECKED +PRODUCER +PATH\n/);
  t.true(shown.stdout.includes(`${id}  stored  `), shown.stdout);
  t.regex(shown.stdout, / not since +tests +out\/report\.html\n$/);

  const half = await cli('find', 'sha256:abc');
  t.is(half.code, 2);
  t.regex(half.stderr, /"sha256:abc" is no digest: sha256: has 64 hex digits after it\./);
  t.is((await cli('find', 'sha256:abc', '--name')).code, 3);

  const other = await cli('find', 'log.txt');
  t.is(other.code, 3, 'the file that is called so here has other bytes');
  t.is(other.stdout, `No package has a file with the digest ${sha256('something else')}.\n`);
  t.is((await cli('find', 'log.txt', '--name')).code, 0);
  const none = await cli('find', 'nothing', '--json');
  t.is(none.code, 3);
  t.deepEqual(none.json, { sought: { name: 'nothing' }, items: [], next_cursor: null });
  t.is((await cli('find', join('x', 'other'))).code, 3);
  for (const wrong of ['no/such', 'ab*', '']) t.is((await cli('find', wrong)).code, 2, wrong);
});

test('a link is made, listed and revoked; stdout of create is the link alone', async (t) => {
  const env = { ARTIFACT_STORE_URL: service.url };
  const made = await runCli(['share', 'create', 'run-1', 'out/log.txt', '--expires', '24h', '--note', 'for me'], {
    env,
  });
  t.is(made.code, 0, made.stderr);
  t.true(made.stdout.startsWith(`${service.url}/ui/shared/artsh_`), made.stdout);
  const [share = ''] = /shr_[0-9a-f]{32}/.exec(made.stderr) ?? [];
  t.regex(made.stderr, /this is the only time that the link is shown\. It ends 20/);
  const listed = await runCli(['share', 'ls', 'run-1'], { env });
  t.regex(listed.stdout, new RegExp(`${share} +active +.* out/log\\.txt +for me\\n`));
  t.is((await runCli(['share', 'revoke', share, '--reason', 'done'], { env })).code, 0);
  t.is((await runCli(['share', 'ls', id, '--json'], { env })).json.items[0].state, 'revoked');
  t.is((await runCli(['share', 'revoke', 'shr_x'], { env })).code, 3);
  t.is((await runCli(['share', 'create', id, 'none'], { env })).code, 3);
  t.is((await runCli(['share', 'create', id, '--expires', '900d'], { env })).code, 2);
});
