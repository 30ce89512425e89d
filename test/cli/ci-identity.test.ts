import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Connections } from '../../cli/client/api/connections.ts';
import { githubTokens } from '../../cli/client/api/github-identity.ts';
import { RetryNotes } from '../../cli/client/api/retry.ts';
import { apiOf } from '../support/api.ts';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import { ADMIN_TOKEN, startIdentityService, writeRules } from '../support/identities.ts';
import { now, startIssuer } from '../support/issuer.ts';
import { startJobTokens } from '../support/job-tokens.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** A job of GitHub Actions: its issuer, where it gets its tokens, and a service that trusts the issuer. */
async function place(t: ExecutionContext) {
  const issuer = await startIssuer();
  const tokens = await startJobTokens(issuer);
  t.teardown(() => tokens.close());
  t.teardown(() => issuer.stop());
  const service = await startIdentityService(t, await writeRules(t, issuer));
  const folder = await tempFolder(t);
  await writeTree(folder, { 'results/a.txt': 'abc', 'results/log': 'x'.repeat(100_000) });
  const job = (args: string[], env: Record<string, string> = {}): Promise<CliEnding> =>
    runCli(args, {
      cwd: folder,
      env: { ...tokens.env, ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache'), ...env },
    });
  const push = ['push', 'results', '--producer', 'nightly-build', '--external-id', 'build-1', '--identity', 'github'];
  return { issuer, tokens, service, folder, job, push: [...push, '--audience', issuer.audience] };
}

function assertSilent(t: ExecutionContext, { stdout, stderr }: CliEnding, given: readonly string[]): void {
  for (const token of given) t.false((stdout + stderr).includes(token), 'a token is never printed');
}

test('a job of GitHub Actions pushes a directory, and pulls it, with no stored secret', async (t) => {
  const { issuer, tokens, service, job, push } = await place(t);
  const pushed = await job([...push, '--json']);
  t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
  t.like(pushed.json, { status: 'finalized', file_count: 2 });
  t.deepEqual(tokens.asked, [issuer.audience], 'one token is enough for a push of minutes');
  assertSilent(t, pushed, tokens.given);
  const where = ['--identity', 'github', '--audience', issuer.audience];
  t.is((await job(['pull', 'build-1', 'copy', ...where])).code, 0);
  const { items } = (await apiOf(service.url, ADMIN_TOKEN).get('/v1/audit')).body;
  const actors = new Set((items as Array<{ actor: string }>).map(({ actor }) => actor));
  t.true(actors.has('github:74/refs/heads/main/run/1658821493.1'), [...actors].join());
});

test('tokens that expire in the middle of a push are replaced', async (t) => {
  const { tokens, job, push } = await place(t);
  // By what they say they live for no time at all, so that each request needs a fresh one; the service accepts them.
  tokens.claims = () => ({ iat: now() + 300, exp: now() + 300 });
  const pushed = await job(push);
  t.is(pushed.code, 0, pushed.stderr);
  t.true(tokens.given.length > 3, `${tokens.given.length} tokens`);
  assertSilent(t, pushed, tokens.given);
});

test('the audience is the URL of the service, if nothing else is asked for', async (t) => {
  const { tokens, service, job, push } = await place(t);
  const refused = await job([...push.slice(0, -2), '--json']);
  t.deepEqual(tokens.asked, [service.url]);
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'identity_audience', 'the file of rules has another one');
});

test('a token that the rules do not match ends the push with what to do', async (t) => {
  const { tokens, job, push } = await place(t);
  tokens.claims = () => ({ ref: 'refs/pull/7/merge' });
  const refused = await job(push);
  t.is(refused.code, 4);
  t.regex(refused.stderr, /No rule of this service matches.*token explain/);
  t.notRegex(refused.stderr, /ARTIFACT_STORE_TOKEN/);
  assertSilent(t, refused, tokens.given);
});

test('a token that has expired, and is given as it is, ends the push: run again with a fresh one, it goes on', async (t) => {
  const { issuer, job, push } = await place(t);
  const args = push.slice(0, push.indexOf('--identity'));
  const refused = await job([...args, '--json'], { ARTIFACT_STORE_TOKEN: await issuer.token({ exp: now() - 120 }) });
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'identity_expired');
  t.regex(refused.json.error.message, /get a fresh one.*continues where it stopped/);
  const pushed = await job(args, { ARTIFACT_STORE_TOKEN: await issuer.token() });
  t.is(pushed.code, 0, pushed.stderr);
});

test('GitHub that does not answer at once is asked again; what it refuses, or garbles, is told', async (t) => {
  const { tokens, job, push } = await place(t);
  tokens.answers = [(response) => response.writeHead(503).end(), (response) => response.destroy()];
  const pushed = await job(push);
  t.is(pushed.code, 0, pushed.stderr);
  t.is(tokens.asked.length, 3);
  const cases: Array<[(typeof tokens.answers)[number], RegExp]> = [
    [(response) => response.writeHead(403).end(), /no token for this job: GitHub at .* answered 403/],
    [(response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /answered 302/],
    [(response) => response.end('<html>'), /something that has no token in it/],
    [(response) => response.end('{"value": "two words"}'), /something that has no token in it/],
    [(response) => response.end('null'), /something that has no token in it/],
  ];
  for (const [answer, says] of cases) {
    tokens.answers = [answer];
    const refused = await job([...push, '--json']);
    t.is(refused.code, 4);
    t.is(refused.json.error.code, 'no_identity');
    t.regex(refused.json.error.message, says);
    t.regex(refused.json.error.next, /id-token: write/);
  }
  await tokens.close();
  const unreached = await job([...push, '--json']);
  t.is(unreached.code, 6);
  t.regex(unreached.json.error.message, /Cannot reach GitHub at .*ECONNREFUSED/);
});

test('options that contradict each other, or a job without tokens, are wrong usage', async (t) => {
  const { tokens, job } = await place(t);
  const cases: Array<[string[], Record<string, string>, RegExp]> = [
    [['--identity', 'github'], { ACTIONS_ID_TOKEN_REQUEST_URL: '' }, /may have tokens: .*\n.*id-token: write/],
    [['--identity', 'github'], { ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' }, /may have tokens/],
    [['--identity', 'github'], { ACTIONS_ID_TOKEN_REQUEST_URL: 'x' }, /may have tokens/],
    [['--identity', 'jenkins'], {}, /github/],
    [['--identity', 'github', '--token', 'x'], {}, /--token and --identity are two ways/],
    [['--identity', 'github', '--local'], {}, /--identity is for a service/],
    [['--audience', 'x'], {}, /--audience is whom/],
    [['--identity', 'github', '--audience', ''], {}, /--audience must not be empty/],
  ];
  for (const [options, env, says] of cases) {
    const wrong = await job(['ls', ...options], env);
    t.is(wrong.code, 2, wrong.stderr);
    t.regex(wrong.stderr, says);
  }
  t.deepEqual(tokens.asked, []);
});

test('a token is good for most of its life, however many calls need it, and whatever the time of day is', async (t) => {
  const issuer = await startIssuer();
  const tokens = await startJobTokens(issuer);
  t.teardown(() => tokens.close());
  t.teardown(() => issuer.stop());
  let time = 1_000;
  const { ACTIONS_ID_TOKEN_REQUEST_URL: requestUrl = '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken = '' } =
    tokens.env;
  const { signal } = new AbortController();
  const options = { connections: new Connections(), notes: new RetryNotes(() => {}), signal, clock: () => time };
  const token = githubTokens({ requestUrl, requestToken }, 'https://store.example', options);
  // An hour behind: the clock of the runner says nothing about it.
  tokens.claims = () => ({ iat: now() - 3_600, exp: now() - 3_300 });
  const [first, second] = await Promise.all([token(), token()]);
  t.is(first, second);
  time += 239;
  await token();
  t.is(tokens.given.length, 1);
  time += 1;
  await token();
  t.is(tokens.given.length, 2, 'a minute before it expires');
  tokens.claims = () => ({ iat: undefined });
  time += 240;
  await token();
  await token();
  t.is(tokens.given.length, 4, 'one that does not say how long it lives is used once');
});
