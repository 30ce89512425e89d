import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import { BIN } from '../support/command.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { NIGHTLY, writeRules } from '../support/identities.ts';
import { now, rsaKey, startIssuer } from '../support/issuer.ts';
import { processEnv } from '../support/process-env.ts';
import { tempFolder } from '../support/temp.ts';
import { ownCa, startTlsFront } from '../support/tls-front.ts';

const RELEASES = {
  name: 'releases',
  claims: { repository_id: '74', ref: { glob: 'refs/tags/v*' }, environment: 'production' },
  producers: null,
  scopes: ['packages:write'],
};

async function place(t: ExecutionContext) {
  const issuer = await startIssuer();
  t.teardown(() => issuer.stop());
  const file = await writeRules(t, issuer, { rules: [RELEASES, NIGHTLY] });
  const explain = (jwt: string, ...more: string[]) => runCli(['token', 'explain', jwt, '--identities', file, ...more]);
  return { issuer, file, explain };
}

function assertSilent(t: ExecutionContext, { stdout, stderr }: CliEnding, jwt: string): void {
  for (const part of jwt.split('.')) t.false((stdout + stderr).includes(part), 'nothing of the JWT is printed');
}

test('token explain says which rule matches, and what it allows', async (t) => {
  const { issuer, explain } = await place(t);
  const jwt = await issuer.token();
  const explained = await explain(jwt, '--json');
  t.is(explained.code, 0, explained.stderr);
  t.deepEqual(explained.json, {
    accepted: true,
    rule: 'nightly of acme/tool',
    grant: {
      actor: 'github:74/refs/heads/main/run/1658821493.1',
      scopes: ['packages:read', 'packages:write'],
      producers: ['nightly-build'],
    },
    issuer: { name: 'github', url: issuer.url },
    signature_verified: true,
    rules: [
      {
        name: 'releases',
        matches: false,
        unmet: [
          { claim: 'ref', found: ['refs/heads/main'], wanted: [{ glob: 'refs/tags/v*' }] },
          { claim: 'environment', found: ['release'], wanted: ['production'] },
        ],
      },
      { name: 'nightly of acme/tool', matches: true, unmet: [] },
    ],
  });
  assertSilent(t, explained, jwt);
  const lines = (await explain(jwt)).stdout.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, ': '));
  t.deepEqual(
    lines.filter((line) => line !== ''),
    [
      `issuer: github: ${issuer.url}`,
      'signature: right',
      'rule "releases": ref is "refs/heads/main", not like "refs/tags/v*"',
      'environment is "release", not "production"',
      'rule "nightly of acme/tool": matches',
      'accepted: by the rule "nightly of acme/tool", as github:74/refs/heads/main/run/1658821493.1',
      'may: packages:read, packages:write; producers nightly-build',
    ],
  );
});

test('token explain says why a JWT is refused, with the code that the service answers', async (t) => {
  const { issuer, explain } = await place(t);
  const cases: Array<[string, string, RegExp, boolean]> = [
    [await issuer.token({ ref: 'refs/heads/x' }), 'identity_unmatched', /no rule matches/, true],
    [await issuer.token({ exp: now() - 600 }), 'identity_expired', /it expired at 20/, true],
    [
      await issuer.token({ aud: 'https://github.com/acme' }),
      'identity_audience',
      /audience is "https:\/\/github/,
      true,
    ],
    [await issuer.token({}, { key: rsaKey() }), 'identity_invalid', /no applicable key/, false],
    [await issuer.token({ iss: 'https://evil.example' }), 'identity_invalid', /evil\.example" is not trusted/, false],
  ];
  for (const [jwt, code, reason, verified] of cases) {
    const explained = await explain(jwt, '--json');
    t.is(explained.code, 4, explained.stdout);
    t.like(explained.json, { accepted: false, code, signature_verified: verified });
    t.regex(explained.json.reason, reason);
    // Claims that nobody signed are held against no rule; those of an expired token are.
    t.is(explained.json.rules.length, verified ? 2 : 0);
    assertSilent(t, explained, jwt);
    t.regex((await explain(jwt)).stdout, new RegExp(`refused .*\\(${code}\\)`));
  }
});

test('token explain exits with 6 when the issuer cannot be asked', async (t) => {
  const { issuer, explain } = await place(t);
  const jwt = await issuer.token();
  await issuer.stop();
  const explained = await explain(jwt, '--json');
  t.is(explained.code, 6);
  t.like(explained.json, { accepted: false, code: 'issuer_unavailable' });
  await issuer.start();
});

test('token explain - reads the JWT from stdin', async (t) => {
  const { issuer, file } = await place(t);
  const jwt = await issuer.token();
  for (const [input, code] of [
    [`${jwt}\n`, 0],
    ['no JWT', 2],
    ['a.'.repeat(1_000_000), 2],
  ] as const) {
    const args = [BIN, 'token', 'explain', '-', '--json'];
    const child = spawn(process.execPath, args, {
      env: processEnv({ ARTIFACT_STORE_OIDC_RULES: file }),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    // It need not read all of it.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const ended = once(child, 'close');
    const printed = await text(child.stdout);
    t.deepEqual(await ended, [code, null], printed);
    if (code === 0) t.true(JSON.parse(printed).accepted);
    else t.is(JSON.parse(printed).error.code, 'wrong_usage');
  }
});

test('token explain without rules, with bad ones, or without a JWT is wrong usage', async (t) => {
  const { issuer, file, explain } = await place(t);
  const jwt = await issuer.token();
  const without = await runCli(['token', 'explain', jwt]);
  t.is(without.code, 2);
  t.regex(without.stderr, /needs the file of identity rules.*--identities/);
  for (const none of ['secret-of-somebody', `Bearer ${jwt}`, 'a.b.c', '']) {
    const refused = await explain(none);
    t.is(refused.code, 2, none);
    if (none !== '') t.false(refused.stderr.includes(none), 'what it was is not shown');
  }
  const { issuers } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ issuers: [{ ...issuers[0], audience: undefined }] }));
  const bad = await explain(jwt, '--json');
  t.is(bad.code, 2);
  t.is(bad.json.error.code, 'bad_config');
  t.regex(bad.json.error.message, /^--identities \(ARTIFACT_STORE_OIDC_RULES\): .*issuer "github": audience is needed/);
  t.is((await runCli(['token', 'explain', jwt, '--identities', 'nowhere.json'])).code, 2);
});

test('text of a token cannot control a terminal', async (t) => {
  const { issuer, explain } = await place(t);
  const hostile = 'a\u001b]0;title\u0007\u009b31m\u202e\u2028\nartifact-store: forged';
  for (const claims of [{ ref: hostile }, { aud: hostile }, { iss: hostile }, { run_id: hostile }]) {
    const jwt = await issuer.token(claims);
    for (const more of [[], ['--json']]) {
      const { stdout, stderr } = await explain(jwt, ...more);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
      t.notRegex(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
      t.notRegex(stdout + stderr, /^artifact-store: forged/m);
    }
  }
});

test('an issuer is reached through the proxy of the environment, and its certificate is checked', async (t) => {
  const folder = await tempFolder(t);
  const ca = await ownCa(folder);
  const issuer = await startIssuer({ url: 'https://issuer.example' });
  const front = await startTlsFront(`http://127.0.0.1:${issuer.port}`, await ca.sign(['issuer.example']));
  const proxy = await startForwardProxy({ 'issuer.example:443': front.port });
  t.teardown(async () => {
    await proxy.close();
    await front.close();
    await issuer.stop();
  });
  const file = join(folder, 'identities.json');
  const { url, audience } = issuer;
  const trusted = { name: 'github', issuer: url, platform: 'github', audience, rules: [NIGHTLY] };
  await writeFile(file, JSON.stringify({ issuers: [trusted] }));
  const explain = async (env: Record<string, string>) =>
    runCli(['token', 'explain', await issuer.token(), '--identities', file, '--json'], { env });
  const through = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: ca.file };
  const explained = await explain(through);
  t.is(explained.code, 0, explained.stdout);
  t.deepEqual(
    proxy.seen.map(({ kind, target }) => `${kind} ${target}`),
    ['tunnel issuer.example:443', 'tunnel issuer.example:443'],
  );
  const untrusted = await explain({ HTTPS_PROXY: proxy.url });
  t.is(untrusted.code, 6);
  t.regex(untrusted.json.reason, /certificate/);
  t.is((await explain({ ...through, NO_PROXY: 'issuer.example' })).code, 6, 'there is no other way to it');
});
