import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { apiOf } from '../support/api.ts';
import { buildInto } from '../support/built.ts';
import { startLyingS3 } from '../support/lying-s3.ts';
import { podEnvironment } from '../support/manifests.ts';
import { freePorts } from '../support/ports.ts';
import { POSTGRES } from '../support/postgres.ts';
import { Container, mayContain } from '../support/read-only-root.ts';
import { required } from '../support/required.ts';
import { tempFolder } from '../support/temp.ts';

/** What the image runs, with the environment of a pod, as its user, on a root that is read-only. */
const postgres = mayContain() ? await required('The container', POSTGRES) : null;
if (!mayContain()) test('this user may not mount: the container is not tested here', (t) => t.pass());
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  test('a pod: user 1000 without capabilities, a read-only root, two folders of its own', async (t) => {
    t.timeout(120_000);
    const [folder, s3, [port = 0]] = await Promise.all([tempFolder(t), startLyingS3({}), freePorts(1)]);
    t.teardown(() => s3.close());
    await buildInto(folder);
    const container = await Container.make(folder, 1000, ['data', 'tmp']);
    const pod = await podEnvironment();
    const env = {
      ...pod,
      // What the manifests leave to whoever takes them.
      ARTIFACT_STORE_PORT: String(port),
      ARTIFACT_STORE_PUBLIC_URL: `http://127.0.0.1:${port}`,
      ARTIFACT_STORE_DATA_DIR: `${folder}/data/store`,
      ARTIFACT_STORE_DATABASE_URL: await postgres.createMigrated(),
      ARTIFACT_STORE_S3_ENDPOINT: s3.endpoint,
      ARTIFACT_STORE_S3_PUBLIC_ENDPOINT: s3.endpoint,
      ARTIFACT_STORE_ATTESTATION_KEY: generateKeyPairSync('ed25519').privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }) as string,
      XDG_CACHE_HOME: `${folder}/tmp`,
      TMPDIR: `${folder}/tmp`,
    };
    const looks = container.spawn(['-e', LOOK], env);
    t.deepEqual(JSON.parse(await text(looks.stdout as Readable)), {
      uid: 1000,
      capabilities: '0000000000000000',
      noNewPrivileges: '1',
      wrote: 'EROFS',
    });

    const service = container.spawn([`${folder}/dist/cli/bin.js`, 'serve', '--json'], env);
    const told = text(service.stderr as Readable);
    const ended = once(service, 'close');
    t.teardown(() => service.kill('SIGKILL'));
    const listens = new Promise<void>((resolve) => {
      createInterface({ input: service.stdout as Readable }).on('line', (line) => {
        if (line.startsWith('{"url"')) resolve();
      });
    });
    if ((await Promise.race([listens, ended])) !== undefined) return t.fail(await told);
    const url = `http://127.0.0.1:${port}`;
    const stranger = apiOf(url);
    t.is((await stranger.get('/healthz')).status, 200);
    t.is((await stranger.get('/readyz')).body.status, 'ready');
    t.is((await stranger.get('/v1/packages')).status, 401);
    const api = apiOf(url, pod.ARTIFACT_STORE_ADMIN_TOKEN);
    // The bucket of the test takes everything, and keeps nothing: what a pod stores is tried elsewhere.
    const id = await api.create();
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'created');
    service.kill('SIGTERM');
    t.deepEqual(await ended, [0, null], await told);
  });
}

/** In the container: who it is, and whether it can write beside its folders. */
const LOOK = `
const { readFileSync, writeFileSync } = require('node:fs');
const status = readFileSync('/proc/self/status', 'utf8');
const field = (name) => new RegExp('^' + name + ':\\\\s*(\\\\S+)', 'm').exec(status)?.[1];
let wrote = 'yes';
try { writeFileSync('dist/x', ''); } catch (error) { wrote = error.code; }
console.log(JSON.stringify({ uid: process.getuid(), capabilities: field('CapEff'), noNewPrivileges: field('NoNewPrivs'), wrote }));
`;
