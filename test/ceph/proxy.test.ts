import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { apiOf } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { ownCa, startTlsFront } from '../support/tls-front.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** A bucket that only a proxy can reach: the service's own requests, and those of the command line to signed URLs. */
const ceph = await required('Ceph behind a proxy', CEPH);

if (ceph) {
  test.after.always('Ceph ends', () => ceph.stop());

  test('the service reaches its bucket through HTTP_PROXY, and clients theirs', async (t) => {
    const folder = await tempFolder(t);
    const host = 'rgw.example:7480';
    const proxy = await startForwardProxy({ [host]: Number(new URL(ceph.endpoint).port) });
    const env = {
      ...s3Env({ ...ceph, endpoint: `http://${host}` }, await createBucket(ceph)),
      ...uploadKeyEnv(ceph),
      http_proxy: proxy.url,
    };
    const service = await startTestService({ env });
    t.teardown(async () => {
      await service.dispose();
      await proxy.close();
    });
    const ready = await apiOf(service.url).get('/readyz');
    t.is(ready.status, 200, JSON.stringify(ready.body));
    t.true(ready.body.blob_store.capabilities.part_digest_enforced, 'the probe got through');
    const served = proxy.seen.length;
    t.true(served > 20);

    const tree = await readTree(
      await writeTree(join(folder, 'tree'), { 'a/small': 'some bytes', large: randomBytes(9_000_000), empty: '' }),
    );
    const cli = (...args: string[]) =>
      runCli([...args, '--url', service.url], {
        cwd: folder,
        env: { HTTP_PROXY: proxy.url, XDG_CACHE_HOME: join(folder, 'cache') },
      });
    const push = await cli('push', 'tree', '--producer', 'tests', '--external-id', 'x');
    t.is(push.code, 0, push.stderr);
    t.is((await cli('pull', 'x', 'copy')).code, 0);
    t.deepEqual(await readTree(join(folder, 'copy')), tree);
    // Through the service, which streams it onto S3 on a connection of its own.
    const put = await fetch(`${service.url}/v1/packages/${await openPackage(service.url)}/files/streamed`, {
      method: 'PUT',
      body: randomBytes(6_000_000),
    });
    t.is(put.status, 201);
    t.true(proxy.seen.every(({ kind, target }) => kind === 'request' && target.startsWith(`http://${host}/`)));

    proxy.refuse = 413;
    const refused = await fetch(`${service.url}/v1/packages/${await openPackage(service.url)}/files/refused`, {
      method: 'PUT',
      body: randomBytes(100),
    });
    const problem = (await refused.json()) as { detail: string };
    t.is(refused.status, 503);
    t.regex(problem.detail, /too large \(413\).+client_max_body_size/);
  });

  test('HTTPS_PROXY and an own CA: the service and the command line reach an https bucket through tunnels', async (t) => {
    const folder = await tempFolder(t);
    const ca = await ownCa(folder);
    const front = await startTlsFront(ceph.endpoint, await ca.sign(['rgw.example']));
    const proxy = await startForwardProxy({ 'rgw.example:443': front.port });
    t.teardown(async () => {
      await proxy.close();
      await front.close();
    });
    await writeTree(join(folder, 'tree'), { 'a/small': 'some bytes', large: randomBytes(9_000_000) });
    const env = {
      ...s3Env({ ...ceph, endpoint: 'https://rgw.example' }, await createBucket(ceph)),
      HTTPS_PROXY: proxy.url,
      NODE_EXTRA_CA_CERTS: ca.file,
      XDG_CACHE_HOME: join(folder, 'cache'),
    };
    const push = await runCli(['push', 'tree', '--producer', 'tests', '--external-id', 'x', '--local'], {
      cwd: folder,
      env,
    });
    t.is(push.code, 0, push.stderr);
    const pull = await runCli(['pull', 'x', 'copy', '--local'], { cwd: folder, env });
    t.is(pull.code, 0, pull.stderr);
    t.deepEqual(await readTree(join(folder, 'copy')), await readTree(join(folder, 'tree')));
    t.true(proxy.seen.every(({ kind, target }) => kind === 'tunnel' && target === 'rgw.example:443'));
    const { NODE_EXTRA_CA_CERTS: _, ...strange } = env;
    const untrusted = await runCli(['push', 'tree', '--producer', 'tests', '--local'], { cwd: folder, env: strange });
    t.not(untrusted.code, 0);
    t.regex(untrusted.stderr, /certificate/);
  });
}

async function openPackage(url: string): Promise<string> {
  const { body } = await apiOf(url).post('/v1/packages', { name: 'n', producer: 'tests' });
  return body.id;
}
