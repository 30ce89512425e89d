import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { preservePacked } from '../support/packed-package.ts';
import { journaled, untilJournaled } from '../support/pull-journal.ts';
import { type RelayedRequest, startRelay } from '../support/relay.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** Downloads straight from Ceph, by the URLs that the service signs. */
const ceph = await required('Pulling from Ceph', CEPH);

if (ceph) {
  test.after.always('Ceph ends', () => ceph.stop());

  /** A service on a bucket of its own; bytes come through a relay, which the signed URLs name. */
  async function place(t: ExecutionContext) {
    const folder = await tempFolder(t);
    const bucket = await createBucket(ceph as NonNullable<typeof ceph>);
    const { endpoint, region, credentials } = ceph as NonNullable<typeof ceph>;
    const relay = await startRelay(endpoint);
    const service = await startTestService({
      env: {
        ...s3Env({ endpoint, region, credentials }, bucket),
        ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: relay.url,
      },
    });
    t.teardown(async () => {
      await service.dispose();
      await relay.close();
    });
    const { hostname, port } = new URL(endpoint);
    const copy = join(folder, 'copy');
    return {
      relay,
      bucket,
      copy,
      api: apiOf(service.url),
      witness: new Witness({
        endPoint: hostname,
        port: Number(port),
        useSSL: false,
        accessKey: credentials.accessKeyId,
        secretKey: credentials.secretAccessKey,
        region,
      }),
      treeOf: async (files: Record<string, string | Buffer>) =>
        readTree(await writeTree(join(folder, 'expected'), files)),
      cli: (args: string[], onSpawn?: (child: ChildProcess) => void) =>
        runCli([...args, '--json', '--url', service.url], { cwd: folder, ...(onSpawn ? { onSpawn } : {}) }),
    };
  }

  const isBytes = ({ method, url }: RelayedRequest) => method === 'GET' && url.includes('/objects/');

  /** The object that holds a blob, as an independent client finds it. */
  async function keyOf(witness: Witness, bucket: string, bytes: string | Buffer): Promise<string> {
    const hex = sha256(bytes).slice('sha256:'.length);
    for await (const item of witness.listObjectsV2(bucket, '', true)) {
      const { name } = item as { name: string };
      if (name.includes(hex)) return name;
    }
    throw new Error(`no object holds ${hex}`);
  }

  test.serial('a large file comes in ranges; a pull that was killed asks for no range twice', async (t) => {
    const { relay, copy, api, cli, treeOf } = await place(t);
    const files = { 'large.bin': randomBytes(68 * 1024 ** 2 + 3), 'other.bin': randomBytes(9 * 1024 ** 2) };
    const ranges = 9 + 2;
    const id = await api.preserve(files);
    let child: ChildProcess | undefined;
    let passed = 0;
    relay.before = async (request) => {
      if (!isBytes(request)) return 'pass';
      passed += 1;
      if (passed <= 4) return 'pass';
      await untilJournaled(copy, 4);
      child?.kill('SIGKILL');
      return new Promise<never>(() => {});
    };
    const killed = await cli(['pull', id, copy], (process) => {
      child = process;
    });
    t.is(killed.signal, 'SIGKILL');
    t.false((await readdir(copy)).some((name) => name.endsWith('.bin')));
    t.is(await journaled(copy), 4);

    relay.before = async () => 'pass';
    relay.seen.length = 0;
    const done = await cli(['pull', id, copy]);
    t.is(done.code, 0, done.stderr + done.stdout);
    t.like(done.json, { files: 2, resumed_bytes: 4 * RANGE_SIZE });
    const asked = relay.seen.filter(isBytes).map(({ url, range }) => `${url.split('?')[0]} ${range}`);
    t.is(asked.length, ranges - 4);
    t.is(new Set(asked).size, asked.length);
    t.deepEqual(await readTree(copy), await treeOf(files));
  });

  test.serial('packs come in one request each, or the few bytes of them that are wanted', async (t) => {
    const { relay, copy, api, cli, treeOf } = await place(t);
    const packs = [0, 1].map((pack) =>
      Object.fromEntries(
        Array.from({ length: 200 }, (_, index) => [`pack-${pack}/${index}`, randomBytes(4_000 + index)]),
      ),
    );
    const id = await preservePacked(api, packs);
    relay.seen.length = 0;
    const pulled = await cli(['pull', id, copy]);
    t.is(pulled.code, 0, pulled.stderr + pulled.stdout);
    t.is(relay.seen.filter(isBytes).length, 2);
    t.deepEqual(await readTree(copy), await treeOf(Object.assign({}, ...packs)));
    relay.seen.length = 0;
    t.is((await cli(['verify', id])).code, 0);
    t.is(relay.seen.filter(isBytes).length, 2);
    relay.seen.length = 0;
    t.is((await cli(['pull', id, `${copy}-few`, '--path', 'pack-1/{7,8}'])).json.files, 2);
    const [request, ...more] = relay.seen.filter(isBytes);
    t.deepEqual(more, []);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request?.range ?? '') ?? [];
    t.true(Number(last) - Number(first) < 10_000, request?.range);
  });

  test.serial('bytes that were changed or removed in the bucket: exit 5, and no file of that name', async (t) => {
    const { copy, api, cli, witness, bucket } = await place(t);
    const files = { good: 'good', changed: randomBytes(5 * 1024 ** 2), small: 'was small', removed: 'gone' };
    const id = await api.preserve(files);
    const other = Buffer.from(files.changed);
    other[4_000_000] = (other[4_000_000] as number) ^ 1;
    await witness.putObject(bucket, await keyOf(witness, bucket, files.changed), other);
    await witness.putObject(bucket, await keyOf(witness, bucket, files.small), 'is other!');
    await witness.removeObject(bucket, await keyOf(witness, bucket, files.removed));
    const pulled = await cli(['pull', id, copy]);
    t.is(pulled.code, 5, pulled.stdout + pulled.stderr);
    t.is(pulled.json.error.code, 'integrity_failure');
    const named = pulled.json.error.failures.map(({ path }: { path: string }) => path).sort();
    t.deepEqual(named, ['changed', 'removed', 'small']);
    t.deepEqual(await readdir(copy), ['good']);
    const verified = await cli(['verify', id]);
    t.is(verified.code, 5);
    t.deepEqual(
      verified.json.failures.map(({ path }: { path: string }) => path),
      ['changed', 'removed', 'small'],
    );
  });
}
