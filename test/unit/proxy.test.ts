import test from 'ava';
import { inNetwork, isLinkLocal, isLoopbackHost, parseIp, parseNetwork } from '../../src/core/ip-address.ts';
import { agentProxy, ProxySettingError, proxyEnvOf, proxyFor } from '../../src/core/proxy.ts';

const PROXY = 'http://proxy.example:3128';

function via(url: string, env: Record<string, string>): string | null {
  return proxyFor(new URL(url), env)?.variable ?? null;
}

test('the scheme of the URL decides which variable counts, lower case before upper case', (t) => {
  const all = { HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, ALL_PROXY: PROXY };
  t.is(via('http://store.example', all), 'HTTP_PROXY');
  t.is(via('https://store.example', all), 'HTTPS_PROXY');
  t.is(via('http://store.example', { ...all, http_proxy: PROXY }), 'http_proxy');
  t.is(via('https://store.example', { ...all, https_proxy: PROXY }), 'https_proxy');
  t.is(via('https://store.example', { HTTP_PROXY: PROXY }), null);
  t.is(via('https://store.example', { ALL_PROXY: PROXY }), 'ALL_PROXY');
  t.is(via('http://store.example', { all_proxy: PROXY, ALL_PROXY: PROXY }), 'all_proxy');
  t.is(via('http://store.example', { HTTP_PROXY: '', ALL_PROXY: ' ' }), null, 'an empty one is not set');
  t.is(via('http://store.example', {}), null);
});

test('a proxy is a URL, or host and port; user and password are never shown', (t) => {
  const of = (value: string) => proxyFor(new URL('http://store.example'), { HTTP_PROXY: value });
  t.is(of('proxy.example:3128\n')?.url, 'http://proxy.example:3128/');
  const secret = of('https://me:s%40cret@proxy.example:3128');
  t.is(secret?.url, 'https://me:s%40cret@proxy.example:3128/');
  t.is(secret?.shown, 'https://proxy.example:3128');
  t.deepEqual(agentProxy(secret), { proxyEnv: { HTTP_PROXY: secret?.url, HTTPS_PROXY: secret?.url } });
  t.deepEqual(agentProxy(null), { proxyEnv: {} }, 'whatever the environment of the process says');
  for (const wrong of ['http://', 'socks5://me:s3cret@proxy.example:1080', 'ftp://proxy.example']) {
    const error = t.throws(() => of(wrong), { instanceOf: ProxySettingError, message: /^HTTP_PROXY / }, wrong);
    t.notRegex(error.message, /s3cret/);
  }
});

test('NO_PROXY: hosts with all below them, ports, addresses, networks, everything', (t) => {
  const isDirect = (url: string, list: string) =>
    via(url, { HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, NO_PROXY: list }) === null;
  for (const [list, url, direct] of [
    ['store.example', 'http://store.example/x', true],
    ['store.example', 'http://STORE.example./x', true],
    ['store.example', 'http://s3.store.example', true],
    ['.store.example', 'http://s3.store.example', true],
    ['.store.example', 'http://store.example', true],
    ['*.store.example', 'http://s3.store.example', true],
    ['store.example', 'http://notstore.example', false],
    ['other.example, store.example', 'http://store.example', true],
    ['other.example store.example', 'http://store.example', true],
    ['store.example:8420', 'http://store.example:8420', true],
    ['store.example:8420', 'http://store.example:8421', false],
    ['store.example:443', 'https://store.example', true],
    ['store.example:80', 'https://store.example', false],
    ['10.1.2.3', 'http://10.1.2.3', true],
    ['10.1.2.3', 'http://10.1.2.30', false],
    ['10.0.0.0/8', 'http://10.200.0.1:7480', true],
    ['10.0.0.0/8', 'http://11.0.0.1', false],
    ['10.0.0.0/8', 'http://ten.example', false],
    ['fd00::/8', 'http://[fd12::1]:7480', true],
    ['[fd12::1]:7480', 'http://[fd12::1]:7480', true],
    ['[fd12::1]:7481', 'http://[fd12::1]:7480', false],
    ['*', 'http://store.example', true],
    ['', 'http://store.example', false],
    ['.', 'http://store.example', false],
  ] as const) {
    t.is(isDirect(url, list), direct, `${list} and ${url}`);
  }
  t.is(via('http://store.example', { http_proxy: PROXY, no_proxy: 'store.example', NO_PROXY: 'x' }), null);
});

test('loopback is never reached through a proxy', (t) => {
  for (const host of [
    'localhost',
    'LOCALHOST',
    'a.localhost',
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    '2130706433',
    '[::ffff:127.0.0.1]',
  ]) {
    t.is(via(`http://${host}:8420`, { HTTP_PROXY: PROXY }), null, host);
  }
  for (const host of ['128.0.0.1', 'localhost.example', '[::2]', '0.0.0.0']) {
    t.is(via(`http://${host}:8420`, { HTTP_PROXY: PROXY }), 'HTTP_PROXY', host);
  }
  t.true(isLoopbackHost('[::1]'));
});

test('only what names proxies is taken from an environment', (t) => {
  t.deepEqual(
    proxyEnvOf({ HTTP_PROXY: PROXY, no_proxy: 'x', ARTIFACT_STORE_TOKEN: 'secret', https_proxy: undefined }),
    {
      HTTP_PROXY: PROXY,
      no_proxy: 'x',
    },
  );
});

test('addresses are read as the system reads them, and nothing else is one', (t) => {
  t.is(parseIp('0.0.0.1'), 0xffff_0000_0001n);
  t.is(parseIp('::ffff:0.0.0.1'), parseIp('0.0.0.1'));
  t.is(parseIp('::'), 0n);
  t.is(parseIp('fe80::1%eth0'), (0xfe80n << 112n) + 1n);
  t.is(parseIp('1:2:3:4:5:6:7:8'), parseIp('1:2:3:4:5:6:0.7.0.8'));
  for (const none of [
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    'a.b.c.d',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '12345::',
    '::1.2.3.400',
    '1:2:3:4:5:6:7::8',
  ]) {
    t.is(parseIp(none), null, none);
  }
  t.is(parseNetwork('10.0.0.0/33'), null);
  t.is(parseNetwork('10.0.0.0/8/8'), null);
  t.true(inNetwork(parseIp('8.8.8.8') ?? 0n, parseNetwork('0.0.0.0/0') ?? { base: 0n, bits: 128 }));
});

test('link-local addresses are known in every way to write them', (t) => {
  for (const address of [
    '169.254.169.254',
    '169.254.0.0',
    '169.254.255.255',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::169.254.169.254',
    '2002:a9fe:a9fe::1',
    '::a9fe:a9fe',
    'fe80::1',
    'fe80::1%eth0',
    'febf:ffff::1',
    '[fe80::1]',
  ]) {
    t.true(isLinkLocal(address), address);
  }
  for (const address of [
    '169.253.255.255',
    '169.255.0.0',
    '127.0.0.1',
    '10.0.0.1',
    '192.168.1.1',
    'fec0::1',
    'fd00:ec2::254',
    '::1',
    'metadata.google.internal',
  ]) {
    t.false(isLinkLocal(address), address);
  }
});
