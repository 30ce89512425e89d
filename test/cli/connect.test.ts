import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startLyingService } from '../support/lying-service.ts';
import { freePorts } from '../support/ports.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { ownCa, startTlsFront } from '../support/tls-front.ts';
import { writeTree } from '../support/tree.ts';
import { PACKAGE_ID } from '../support/wire.ts';

/** How the command line reaches a service: what is wrong with an address, a certificate or a token is told at once. */

async function statusServer(
  t: ExecutionContext,
  statuses: readonly number[],
  body = '<html><h1>Bad Gateway</h1></html>',
) {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const status = statuses[Math.min(asked, statuses.length - 1)] as number;
      asked += 1;
      if (status === 200) response.writeHead(200).end('{"items":[],"next_cursor":null}');
      else response.writeHead(status, { 'content-type': 'text/html' }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

test('a token with a line break at its end is the token', async (t) => {
  const token = 'a-token-of-this-test';
  const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: `${token}\n` } });
  t.teardown(() => service.dispose());
  for (const given of [token, `${token}\n`, ` ${token}\r\n`]) {
    const { code, stderr } = await runCli(['ls', '--url', service.url], { env: { ARTIFACT_STORE_TOKEN: given } });
    t.is(code, 0, stderr);
    const option = await runCli(['ls', '--url', service.url, '--token', given]);
    t.is(option.code, 0, option.stderr);
  }
});

test('a token that cannot be sent in a header is reported with its source, and is not shown', async (t) => {
  for (const token of ['sec ret', 'sec\nret', 'sécret', 'sec\u0000ret'.replace('\u0000', '\u0001'), ' ']) {
    const variable = await runCli(['ls'], { env: { ARTIFACT_STORE_TOKEN: token } });
    t.is(variable.code, 2);
    t.regex(variable.stderr, /The token in ARTIFACT_STORE_TOKEN /);
    const option = await runCli(['ls', '--token', token]);
    t.is(option.code, 2);
    t.regex(option.stderr, /The token in --token /);
    for (const { stdout, stderr } of [variable, option]) t.notRegex(stdout + stderr, /s[eé]c/);
  }
});

test('https at an http port, and http at an https port, are reported at once, with the right address', async (t) => {
  const service = await startLyingService();
  t.teardown(() => service.close());
  const { port } = new URL(service.url);
  const secure = await runCli(['ls', '--url', `https://127.0.0.1:${port}`]);
  t.is(secure.code, 6);
  t.is(
    secure.stderr,
    `artifact-store: https://127.0.0.1:${port} was contacted over https, but that port speaks http: use http://127.0.0.1:${port}.\n`,
  );
  const ca = await ownCa(await tempFolder(t));
  const front = await startTlsFront(service.url, await ca.sign(['127.0.0.1']));
  t.teardown(() => front.close());
  const plain = await runCli(['ls', '--url', `http://127.0.0.1:${front.port}`]);
  t.is(plain.code, 6);
  t.is(
    plain.stderr,
    `artifact-store: http://127.0.0.1:${front.port} was contacted over http, but that port speaks https: use https://127.0.0.1:${front.port}.\n`,
  );
  const nginx = await statusServer(t, [400], '<html>400 The plain HTTP request was sent to HTTPS port</html>');
  const told = await runCli(['ls', '--url', nginx.url]);
  t.is(told.code, 6);
  t.regex(told.stderr, /that port speaks https: use https:/);
});

test("an own CA: trusted with NODE_EXTRA_CA_CERTS, for the service's URL and for signed ones; otherwise reported at once", async (t) => {
  const folder = await tempFolder(t);
  const ca = await ownCa(folder);
  const [port = 0] = await freePorts(1);
  const front = await startTlsFront(`http://127.0.0.1:${port}`, await ca.sign(['127.0.0.1']));
  const env = { ARTIFACT_STORE_PUBLIC_URL: front.url, ARTIFACT_STORE_PORT: String(port) };
  const service = await startTestService({ env });
  t.teardown(async () => {
    await front.close();
    await service.dispose();
  });
  const tree = await writeTree(join(folder, 'tree'), { 'a/file': 'some bytes', large: Buffer.alloc(3_000_000, 7) });
  const cli = (...args: string[]) =>
    runCli([...args, '--url', front.url], {
      cwd: folder,
      env: { NODE_EXTRA_CA_CERTS: ca.file, XDG_CACHE_HOME: join(folder, 'cache') },
    });
  const push = await cli('push', tree, '--producer', 'tests', '--external-id', 'x', '--json');
  t.is(push.code, 0, push.stdout);
  t.is((await cli('pull', 'x', 'copy')).code, 0);
  t.is((await cli('verify', 'x', '--against', 'copy')).code, 0);

  const untrusted = await runCli(['ls', '--url', front.url]);
  t.is(untrusted.code, 6);
  t.regex(
    untrusted.stderr,
    /The certificate of the service at https:.+ is not signed by a CA that this machine trusts/,
  );
  t.regex(untrusted.stderr, /NODE_EXTRA_CA_CERTS/);
  t.notRegex(untrusted.stderr, /trying again/);
  const other = await runCli(['ls', '--url', front.url.replace('127.0.0.1', 'localhost')], {
    env: { NODE_EXTRA_CA_CERTS: ca.file },
  });
  t.is(other.code, 6);
  t.regex(other.stderr, /is for another name \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
});

test('retries are reported on stderr, and not with --quiet', async (t) => {
  const told = await statusServer(t, [503, 502, 200]);
  const { code, stderr, stdout } = await runCli(['ls', '--json', '--url', told.url]);
  t.is(code, 0, stderr);
  t.is(stderr, `The service at ${told.url} answered 503: trying again, up to 7 times.\n`);
  t.is(JSON.parse(stdout).items.length, 0);
  t.is(told.asked(), 3);
  const quiet = await statusServer(t, [503, 200]);
  const silent = await runCli(['ls', '--quiet', '--url', quiet.url]);
  t.is(silent.stderr, '');
  t.is(silent.code, 0);
});

test('a server that is no artifact-store, or a path too much in the URL, is not taken for a package that is not there', async (t) => {
  const plain = createServer((_request, response) => response.writeHead(404).end('not here')).listen(0, '127.0.0.1');
  await once(plain, 'listening');
  t.teardown(() => plain.close());
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const { port } = plain.address() as AddressInfo;
  for (const url of [`http://127.0.0.1:${port}`, `${service.url}/api`]) {
    for (const args of [['show', 'build-1'], ['ls'], ['sweep'], ['pull', 'build-1', 'copy']]) {
      const { code, stderr } = await runCli([...args, '--url', url], { env: {} });
      t.is(code, 6, `${args.join(' ')}: ${stderr}`);
      t.regex(stderr, /Check the URL \(--url, ARTIFACT_STORE_URL\)/);
    }
  }
});

test('an error of a proxy in front of the service is reported as such, and its markup is not quoted', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(join(folder, 'tree'), { file: 'x' });
  const push = (url: string) =>
    runCli(['push', 'tree', '--producer', 'p', '--url', url], {
      cwd: folder,
      env: { XDG_CACHE_HOME: join(folder, 'c') },
    });
  const small = await statusServer(t, [413], '<html><h1>413 Request Entity Too Large</h1></html>');
  const refused = await runCli(['extend', PACKAGE_ID, '--days', '1', '--reason', 'x', '--url', small.url]);
  t.is(refused.code, 1);
  t.regex(
    refused.stderr,
    /A proxy between here and http:\S+ refused GET \S+ as too large \(413\): raise its .+client_max_body_size/,
  );
  t.notRegex(refused.stderr, /<|html/);
  const service = await startLyingService({
    part: (response) => response.writeHead(413, { 'content-type': 'text/html' }).end('<html>too large</html>'),
  });
  t.teardown(() => service.close());
  const part = await push(service.url);
  t.is(part.code, 1);
  t.regex(
    part.stderr,
    /A proxy between here and http:\S+ refused Part 1 of "file" as too large \(413\): raise .+ above the 1 B/,
  );
  t.notRegex(part.stderr, /<|html/);
  const down = await statusServer(t, [504]);
  const away = await runCli(['hold', PACKAGE_ID, '--reason', 'x', '--url', down.url, '--json']);
  t.is(away.code, 1);
  t.like(away.json.error, { code: 'unavailable' });
  t.regex(
    away.json.error.message,
    /^A proxy between here and http:\S+ answered GET \S+ with 504: it gets no answer from the service/,
  );
});
