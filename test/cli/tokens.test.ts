import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { ADMIN_TOKEN } from '../support/tokens.ts';
import { writeTree } from '../support/tree.ts';

async function place(t: ExecutionContext) {
  const folder = await tempFolder(t);
  await writeTree(folder, { 'run/a': 'A' });
  const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
  t.teardown(() => service.dispose());
  const cli = (token: string, ...args: string[]) =>
    runCli(args, {
      cwd: folder,
      env: { ARTIFACT_STORE_URL: service.url, ARTIFACT_STORE_TOKEN: token, XDG_CACHE_HOME: join(folder, 'cache') },
    });
  return { service, cli, folder, admin: (...args: string[]) => cli(ADMIN_TOKEN, ...args) };
}

test('stdout of token create is the token alone; what it may do it does, and nothing else', async (t) => {
  const { cli, admin } = await place(t);
  const scopes = ['--scope', 'packages:write', '--scope', 'packages:read'];
  const made = await admin('token', 'create', '--name', 'CI', ...scopes, '--producer', 'ci', '--expires', '90d');
  t.is(made.code, 0, made.stderr);
  t.regex(made.stdout, /^arts_[0-9a-f]{88}\n$/);
  t.regex(made.stderr, /tok_[0-9a-f]{32}: this is the only time that the token is shown/);
  const token = made.stdout.trim();
  const pushed = await cli(token, 'push', 'run', '--producer', 'ci', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  t.is((await cli(token, 'push', 'run', '--producer', 'others')).code, 4);
  const held = await cli(token, 'hold', pushed.json.package_id, '--reason', 'r', '--json');
  t.is(held.code, 4);
  t.like(held.json.error, { code: 'forbidden' });
  t.regex(held.json.error.next, /^Use a token that may do this/);
  t.regex(held.json.error.message, /retention:write/);
  const others = await admin('push', 'run', '--producer', 'others', '--json');
  t.is((await cli(token, 'show', others.json.package_id)).code, 3, 'it does not exist for it');
  t.is((await cli(token, 'pull', pushed.json.package_id, 'copy')).code, 0);
});

test('a token that only writes pushes, also when a push goes on, and again', async (t) => {
  const { cli, admin, folder } = await place(t);
  const made = await admin('token', 'create', '--name', 'n', '--scope', 'packages:write', '--json');
  const args = ['push', 'run', '--producer', 'ci', '--external-id', 'x', '--json'];
  const begun = await cli(made.json.token, ...args, '--no-finalize');
  t.is(begun.code, 0, begun.stderr);
  const ended = await cli(made.json.token, ...args);
  t.is(ended.code, 0, ended.stderr);
  t.is(ended.json.package_id, begun.json.package_id);
  t.is(ended.json.status, 'finalized');
  t.is((await cli(made.json.token, 'pull', ended.json.package_id, 'copy')).code, 4);
  const again = await cli(made.json.token, ...args);
  t.is(again.code, 0, again.stderr);
  t.like(again.json, { package_id: ended.json.package_id, reused: true });
  await writeFile(join(folder, 'run/a'), 'another a');
  t.is((await cli(made.json.token, ...args)).json.error.code, 'package_differs');
});

test('tokens are listed without their secrets, and end when they are revoked', async (t) => {
  const { cli, admin } = await place(t);
  const made = await admin('token', 'create', '--name', 'a reader', '--scope', 'packages:read', '--json');
  t.like(made.json, { name: 'a reader', scopes: ['packages:read'], producers: null, expires_at: null });
  const { id, token } = made.json;
  t.is((await cli(token, 'ls')).code, 0);
  t.is((await cli(token, 'token', 'ls')).code, 4);
  const listed = await admin('token', 'ls');
  t.regex(listed.stdout, new RegExp(`${id} +active +packages:read +all +never +.*a reader`));
  t.false(listed.stdout.includes(token.slice(37)));
  const revoked = await admin('token', 'revoke', id, '--reason', 'leaked');
  t.is(revoked.code, 0, revoked.stderr);
  t.is((await cli(token, 'ls')).code, 4);
  t.is((await admin('token', 'ls', '--json')).json.items[0].state, 'revoked');
  t.is((await admin('token', 'revoke', 'tok_x')).code, 3);
});

test('what token create refuses before it asks', async (t) => {
  const name = ['--name', 'n'];
  for (const [args, says] of [
    [['--scope', 'operator'], /--name/],
    [name, /--scope/],
    [[...name, '--scope', 'everything'], /--scope must be one of packages:read, /],
    [[...name, '--scope', 'operator', '--expires', '0s'], /--expires must be later than now/],
    [[...name, '--scope', 'operator', '--expires', 'soon'], /--expires/],
  ] as const) {
    const { code, stderr } = await runCli(['token', 'create', ...args, '--url', 'http://127.0.0.1:9']);
    t.is(code, 2, stderr);
    t.regex(stderr, says);
  }
});

test('the first token is made with --local, on the machine; from then on the service asks for one', async (t) => {
  const folder = await tempFolder(t);
  const dataDir = join(folder, 'store');
  const local = ['--local', '--data-dir', dataDir];
  const made = await runCli(['token', 'create', '--name', 'n', '--scope', 'packages:read', ...local]);
  t.is(made.code, 0, made.stderr);
  const service = await startTestService({ dataDir });
  t.teardown(() => service.dispose());
  const ls = (token: string) => runCli(['ls', '--url', service.url], { env: { ARTIFACT_STORE_TOKEN: token } });
  t.is((await ls('')).code, 4);
  t.is((await ls(made.stdout.trim())).code, 0);
  const doctor = await runCli(['doctor', '--url', service.url]);
  t.is(doctor.code, 1);
  t.regex(doctor.stdout, /which one, it tells only those with a token/);
  await service.stop();
  t.is((await runCli(['token', 'ls', ...local])).code, 0, 'whoever has the folder has everything');
});
