import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { type ForwardProxy, startForwardProxy } from '../support/forward-proxy.ts';
import { freePorts } from '../support/ports.ts';
import { startTestService } from '../support/service.ts';
import { startStatehub } from '../support/statehub.ts';
import { tempFolder } from '../support/temp.ts';
import { ownCa, startTlsFront } from '../support/tls-front.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** The command line behind a forward proxy, which alone knows the hosts: what is not asked through it cannot be reached. */

const TOKEN = 'a-token-of-this-test';

async function place(t: ExecutionContext, scheme: 'http' | 'https') {
  const folder = await tempFolder(t);
  const [port = 0] = await freePorts(1);
  const hub = await startStatehub();
  const ca = await ownCa(folder);
  const front = await startTlsFront(`http://127.0.0.1:${port}`, await ca.sign(['store.example']));
  const url = scheme === 'http' ? 'http://store.example:8420' : 'https://store.example';
  const proxy = await startForwardProxy({
    'store.example:8420': port,
    'store.example:443': front.port,
    'hub.example': Number(new URL(hub.url).port),
  });
  const service = await startTestService({
    env: { ARTIFACT_STORE_PUBLIC_URL: url, ARTIFACT_STORE_PORT: String(port), ARTIFACT_STORE_ADMIN_TOKEN: TOKEN },
  });
  t.teardown(async () => {
    await proxy.close();
    await front.close();
    await service.dispose();
    await hub.close();
  });
  const files = { 'a/small': 'some bytes', large: randomBytes(9_000_000), empty: '' };
  const tree = await readTree(await writeTree(join(folder, 'tree'), files));
  const cli = (env: Record<string, string>, ...args: string[]) =>
    runCli(args, {
      cwd: folder,
      env: {
        ARTIFACT_STORE_URL: url,
        ARTIFACT_STORE_TOKEN: TOKEN,
        NODE_EXTRA_CA_CERTS: ca.file,
        XDG_CACHE_HOME: join(folder, 'cache'),
        ...env,
      },
    });
  return { folder, proxy, hub, tree, cli, local: `http://127.0.0.1:${port}` };
}

function paths(proxy: ForwardProxy, method: string): string[] {
  return proxy.seen.filter((seen) => seen.method === method).map(({ target }) => new URL(target).pathname);
}

for (const variable of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) {
  test.serial(`${variable}: calls, parts, downloads and Statehub go through it`, async (t) => {
    const { folder, proxy, hub, tree, cli } = await place(t, 'http');
    const env = { [variable]: proxy.url };
    const push = await cli(env, 'push', 'tree', '--producer', 'tests', '--external-id', 'x');
    t.is(push.code, 0, push.stderr);
    t.true(paths(proxy, 'PUT').some((path) => /\/parts\//.test(path)));
    t.is((await cli(env, 'pull', 'x', 'copy')).code, 0);
    t.deepEqual(await readTree(join(folder, 'copy')), tree);
    t.true(paths(proxy, 'GET').some((path) => path.startsWith('/v1/objects/')));
    const posted = await cli(env, 'link', 'x', '--post', 'http://hub.example');
    t.is(posted.code, 0, posted.stderr);
    t.is(hub.received.length, 1);
    t.true(proxy.seen.every(({ kind }) => kind === 'request'));
  });
}

test.serial('HTTPS_PROXY: everything goes through tunnels, which are used again', async (t) => {
  const { folder, proxy, tree, cli } = await place(t, 'https');
  const env = { https_proxy: proxy.url };
  const push = await cli(env, 'push', 'tree', '--producer', 'tests', '--external-id', 'x', '--parallel', '2');
  t.is(push.code, 0, push.stderr);
  t.true(proxy.seen.every(({ kind, target }) => kind === 'tunnel' && target === 'store.example:443'));
  const before = proxy.seen.length;
  t.is((await cli(env, 'pull', 'x', 'copy', '--parallel', '2')).code, 0);
  t.deepEqual(await readTree(join(folder, 'copy')), tree);
  // Two for bytes, and at most as many for calls as there are at once.
  t.true(proxy.seen.length - before <= 6, `${proxy.seen.length - before} tunnels`);
});

test.serial('loopback, and what NO_PROXY names, never go through a proxy', async (t) => {
  const { proxy, cli, local } = await place(t, 'http');
  const loopback = await cli({ HTTP_PROXY: proxy.url, ALL_PROXY: proxy.url }, 'ls', '--url', local);
  t.is(loopback.code, 0, loopback.stderr);
  for (const list of ['store.example', '.example', '*']) {
    const excepted = await cli({ HTTP_PROXY: proxy.url, no_proxy: list }, 'ls');
    t.is(excepted.code, 6);
    t.regex(excepted.stderr, /Cannot reach the service at http:\/\/store\.example:8420 \((ENOTFOUND|EAI_AGAIN)\)/);
  }
  t.deepEqual(proxy.seen, []);
});

test.serial('a proxy that is down, refuses, or wants a login is reported with its variable', async (t) => {
  const { proxy, cli } = await place(t, 'http');
  const [free = 0] = await freePorts(1);
  const dead = `http://127.0.0.1:${free}`;
  const away = await cli({ HTTP_PROXY: dead }, 'ls');
  t.is(away.code, 6);
  t.regex(away.stderr, new RegExp(`through the proxy ${dead}, which HTTP_PROXY names \\(ECONNREFUSED\\)`));
  for (const url of ['http://store.example:8420', 'https://store.example']) {
    proxy.refuse = 407;
    const login = await cli({ HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url }, 'ls', '--url', url);
    t.is(login.code, 6);
    t.regex(login.stderr, /The proxy on the way to https?:\S+ asks for a user and a password \(407\)/);
    t.notRegex(login.stderr, /trying again/);
  }
  proxy.refuse = 403;
  const forbidden = await cli({ HTTPS_PROXY: proxy.url }, 'ls', '--url', 'https://store.example');
  t.is(forbidden.code, 6);
  t.regex(forbidden.stderr, /through the proxy http:\S+, which HTTPS_PROXY names \(Failed to establish tunnel .+ 403/);
  const socks = await cli({ ALL_PROXY: 'socks5://me:s3cret@127.0.0.1:1080' }, 'ls');
  t.is(socks.code, 2);
  t.regex(socks.stderr, /ALL_PROXY names a socks5 proxy/);
  t.notRegex(socks.stderr, /s3cret/);
});

test.serial('user and password of a proxy are sent to it', async (t) => {
  const { proxy, cli } = await place(t, 'https');
  const env = { HTTPS_PROXY: proxy.url.replace('//', '//me:s%3Acret@') };
  t.is((await cli(env, 'ls')).code, 0);
  t.is(proxy.seen[0]?.authorization, `Basic ${Buffer.from('me:s:cret').toString('base64')}`);
});
