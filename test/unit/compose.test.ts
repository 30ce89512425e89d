import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.ts';

/** compose.yaml, held against what the service reads: no Docker is needed for this. */
interface Service {
  build?: string;
  image?: string;
  profiles?: string[];
  ports?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

const read = (name: string): Promise<string> => readFile(resolve(import.meta.dirname, '../..', name), 'utf8');
const compose = async (): Promise<Compose> => parse(await read('compose.yaml'));

/** What the docs put into `.env`: a name in each word of their loop. */
async function envFile(): Promise<Map<string, string>> {
  const [, names = ''] = /^for name in ((?:[A-Z_]+ ?)+); do$/m.exec(await read('docs/operations.md')) ?? [];
  return new Map(names.split(' ').map((name) => [name, `${name.toLowerCase()}-of-the-env-file`]));
}

/** As compose does it. */
function interpolate(text: string, env: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name, kind, rest) => {
    if (kind === '-') return rest;
    const value = env.get(name);
    if (value !== undefined && kind === '?') return value;
    throw new Error(`${name} is asked for, and no .env of the docs has it`);
  });
}

/** What the image sets. */
async function imageEnvironment(): Promise<Record<string, string>> {
  const set = (await read('Dockerfile')).matchAll(/\b(ARTIFACT_STORE_\w+)=(\S+)/g);
  return Object.fromEntries([...set].map(([, name, value]) => [name as string, value as string]));
}

test('the environment of each service of ours loads', async (t) => {
  const { services } = await compose();
  const ours = Object.entries(services).filter(([, { build }]) => build !== undefined);
  t.deepEqual(
    ours.map(([name]) => name),
    ['artifact-store', 'artifact-store-s3'],
  );
  const [image, env] = await Promise.all([imageEnvironment(), envFile()]);
  t.like(image, { ARTIFACT_STORE_HOST: '0.0.0.0', ARTIFACT_STORE_DATA_DIR: '/data' });
  const [simple, s3] = ours.map(([, { environment = {} }]) => {
    const values = Object.entries(environment).map(([key, value]) => [key, interpolate(value, env)]);
    return loadConfig({ ...image, ...Object.fromEntries(values) });
  });
  t.like(simple, { s3: null, databaseUrl: null, publicUrl: 'http://127.0.0.1:8420' });
  t.like(s3, { publicUrl: 'http://127.0.0.1:8421' });
  t.truthy(s3?.databaseUrl);
  t.truthy(s3?.s3?.uploadCredentials);
});

test('plain `docker compose up` is the simple one, and nothing is published beyond this machine', async (t) => {
  const { services, volumes } = await compose();
  const plain = Object.entries(services).filter(([, { profiles }]) => profiles === undefined);
  t.deepEqual(
    plain.map(([name]) => name),
    ['artifact-store'],
  );
  for (const [name, { ports = [], image, build, volumes: mounts = [], depends_on = {} }] of Object.entries(services)) {
    for (const port of ports) t.regex(port, /^127\.0\.0\.1:\d+:\d+$/, name);
    if (build === undefined) t.regex(image ?? '', /:[\w.-]*\d[\w.-]*$/, `${name} names a version`);
    for (const mount of mounts) t.true((mount.split(':')[0] as string) in volumes, `${name} ${mount}`);
    for (const needed of Object.keys(depends_on)) t.true(needed in services, `${name} needs ${needed}`);
  }
});

test('the keys that the service uses are those that MinIO is given', async (t) => {
  const { services } = await compose();
  const { environment: ours = {} } = services['artifact-store-s3'] as Service;
  const { environment: minio = {} } = services.minio as Service;
  const { environment: postgres = {} } = services.postgres as Service;
  t.is(ours.ARTIFACT_STORE_S3_ACCESS_KEY_ID, minio.MINIO_ROOT_USER);
  t.is(ours.ARTIFACT_STORE_S3_SECRET_ACCESS_KEY, minio.MINIO_ROOT_PASSWORD);
  t.true(ours.ARTIFACT_STORE_DATABASE_URL?.includes(`//${postgres.POSTGRES_USER}:${postgres.POSTGRES_PASSWORD}@`));
  const { command = [], environment: own = {} } = services['minio-setup'] as Service & { command?: string[] };
  const setup = command[1] ?? '';
  t.is(own.MINIO_ROOT_PASSWORD, minio.MINIO_ROOT_PASSWORD);
  t.true(setup.includes(`alias set store http://minio:9000 ${minio.MINIO_ROOT_USER} "$$MINIO_ROOT_PASSWORD"\n`));
  t.true(setup.includes(`store/${ours.ARTIFACT_STORE_S3_BUCKET}\n`));
  t.is(own.MINIO_UPLOAD_PASSWORD, ours.ARTIFACT_STORE_S3_UPLOAD_SECRET_ACCESS_KEY);
  t.true(setup.includes(`user add store ${ours.ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID} "$$MINIO_UPLOAD_PASSWORD"\n`));
  const tests = await read('test/support/compose.ts');
  for (const value of [minio.MINIO_ROOT_USER, ours.ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID])
    t.true(tests.includes(`'${value}'`));
});

test('no password stands in compose.yaml, and the docs and the tests have all of them', async (t) => {
  const text = await read('compose.yaml');
  const asked = new Set([...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name as string));
  t.deepEqual([...asked].toSorted(), [...(await envFile()).keys()].toSorted());
  const tests = await read('test/support/compose.ts');
  for (const name of asked) t.true(tests.includes(`'${name}'`), name);
  const { services } = await compose();
  for (const [name, { environment = {} }] of Object.entries(services)) {
    for (const [key, value] of Object.entries(environment)) {
      if (/PASSWORD|SECRET|TOKEN/.test(key)) t.regex(value, /^\$\{\w+:\?[^}]+\}$/, `${name}: ${key}`);
    }
  }
  for (const [, password] of text.matchAll(/\/\/\w+:([^@/]+)@/g)) t.regex(password as string, /^\$\{/);
});

test('npm run test:compose runs every suite that any S3 server will do for', async (t) => {
  const tests = await read('test/support/compose.ts');
  const files = await readdir(resolve(import.meta.dirname, '../ceph'));
  for (const file of files) {
    const path = `test/ceph/${file}`;
    const needsCeph = /\b(OWN_)?CEPH\b/.test(await read(path));
    t.is(tests.includes(`'${path}'`), !needsCeph, path);
  }
});
