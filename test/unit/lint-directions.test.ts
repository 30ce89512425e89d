import { execFile } from 'node:child_process';
import { access, copyFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test from 'ava';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BIOME = join(ROOT, 'node_modules/.bin/biome');

/** core ← blobs, registry ← usecases ← http ← server; cli/client knows core and the wire types; how a folder is made, both. */
const REFUSED: Record<string, string[]> = {
  'src/core/file.ts': [
    '../api/types.ts',
    '../blobs/blob-store.ts',
    '../registry/registry.ts',
    '../usecases/services.ts',
    '../http/routes/index.ts',
    '../server.ts',
    '../config.ts',
    '../../cli/client/http.ts',
    '../make-folder.ts',
    'node:fs',
    'node:fs/promises',
    'node:process',
    'knex',
    'koa',
    'zod',
  ],
  'src/api/file.ts': [
    '../blobs/blob-store.ts',
    '../registry/registry.ts',
    '../usecases/services.ts',
    '../http/route.ts',
    '../http/routes/index.ts',
    '../server.ts',
    '../../cli/client/http.ts',
  ],
  'src/blobs/file.ts': [
    '../registry/registry.ts',
    '../usecases/services.ts',
    '../api/types.ts',
    '../http/routes/index.ts',
    '../server.ts',
    '../config.ts',
    '../../cli/client/http.ts',
  ],
  'src/registry/file.ts': [
    '../blobs/blob-store.ts',
    '../usecases/services.ts',
    '../api/types.ts',
    '../http/routes/index.ts',
    '../server.ts',
    '../config.ts',
  ],
  'src/oidc/file.ts': [
    '../registry/registry.ts',
    '../usecases/services.ts',
    '../http/authenticate.ts',
    '../config.ts',
    'koa',
  ],
  'src/usecases/file.ts': [
    '../http/app.ts',
    '../http/routes/index.ts',
    '../api/types.ts',
    '../server.ts',
    '../config.ts',
    '../../migrations/index.ts',
    '../../cli/client/http.ts',
    'koa',
    'knex',
  ],
  'src/http/file.ts': [
    '../registry/registry.ts',
    '../ui/evidence/routes.ts',
    '../server.ts',
    '../config.ts',
    '../../cli/client/http.ts',
    'knex',
  ],
  'src/ui/file.ts': ['../registry/registry.ts', '../server.ts', '../config.ts', '../../cli/client/http.ts', 'knex'],
  'src/http/routes/file.ts': ['../../registry/registry.ts', '../../server.ts', '../../config.ts', 'knex'],
  'cli/client/file.ts': [
    '../../src/blobs/blob-store.ts',
    '../../src/registry/registry.ts',
    '../../src/usecases/services.ts',
    '../../src/http/routes/index.ts',
    '../../src/server.ts',
    '../../src/config.ts',
    '../commands/push.ts',
  ],
  'cli/client/api/file.ts': [
    '../secrets/baseline.ts',
    '../tree/walk.ts',
    '../push/push.ts',
    '../target/placement.ts',
    '../pull/pull.ts',
  ],
  'cli/client/api/answers/file.ts': ['../../tree/walk.ts', '../../../../src/server.ts'],
  'cli/client/tree/file.ts': ['../api/retry.ts', '../push/push.ts', '../target/placement.ts', '../../../src/server.ts'],
  'cli/client/secrets/file.ts': ['../api/retry.ts', '../tree/walk.ts', '../push/push.ts', '../../../src/server.ts'],
  'cli/client/target/file.ts': [
    '../secrets/baseline.ts',
    '../api/retry.ts',
    '../tree/walk.ts',
    '../pull/pull.ts',
    '../../commands/pull.ts',
  ],
  'cli/client/push/file.ts': [
    '../../library/client.ts',
    '../pull/pull.ts',
    '../target/placement.ts',
    '../../../src/usecases/services.ts',
  ],
  'cli/client/pull/file.ts': ['../secrets/baseline.ts', '../push/push.ts', '../tree/walk.ts', '../../../src/config.ts'],
  'cli/client/offline/file.ts': [
    '../api/api-client.ts',
    '../push/push.ts',
    '../pull/pull.ts',
    '../target/placement.ts',
    '../../../src/api/types.ts',
    '../../../src/config.ts',
  ],
  'cli/library/file.ts': [
    '../commands/pull.ts',
    '../main.ts',
    '../view/pages.ts',
    '../../src/api/types.ts',
    '../../src/server.ts',
  ],
};

const ALLOWED: Record<string, string[]> = {
  'src/core/file.ts': ['./digest.ts', 'node:crypto', 'node:zlib'],
  'src/api/file.ts': ['../core/digest.ts', 'zod/mini', 'zod/v4/locales/en.js'],
  'src/blobs/file.ts': ['../core/digest.ts', './blob-store.ts', '../make-folder.ts', 'node:fs'],
  'src/registry/file.ts': ['../core/digest.ts', '../../migrations/index.ts', 'knex'],
  'src/oidc/file.ts': ['../core/proxy.ts', 'node:https', 'jose'],
  'src/usecases/file.ts': ['../core/digest.ts', '../blobs/blob-store.ts', '../registry/registry.ts'],
  'src/http/file.ts': ['../core/digest.ts', '../api/types.ts', '../usecases/services.ts', 'koa'],
  'src/http/routes/file.ts': ['../../usecases/services.ts', '../../api/types.ts', '../route.ts'],
  'src/ui/file.ts': ['../core/digest.ts', '../usecases/services.ts', '../http/bytes.ts', 'koa'],
  'src/server.ts': ['./http/app.ts', './registry/registry.ts', './blobs/fs-store.ts', './config.ts'],
  'cli/client/file.ts': [
    '../../src/core/digest.ts',
    '../../src/api/types.ts',
    '../../src/make-folder.ts',
    '../errors.ts',
    'got',
  ],
  'cli/library/file.ts': ['../client/push/push.ts', '../errors.ts', '../../src/core/digest.ts', '../../src/version.ts'],
  'cli/client/api/file.ts': ['../../../src/api/types.ts', '../compare.ts', './retry.ts'],
  'cli/client/secrets/file.ts': ['../../../src/core/secret-record.ts', './baseline.ts'],
  'cli/client/tree/file.ts': [
    '../secrets/find-secrets.ts',
    '../../../src/core/digest.ts',
    '../concurrency.ts',
    '../../../src/make-folder.ts',
  ],
  'cli/client/push/file.ts': [
    '../api/retry.ts',
    '../tree/walk.ts',
    '../secrets/baseline.ts',
    '../../../src/api/types.ts',
  ],
  'cli/client/pull/file.ts': ['../api/retry.ts', '../target/placement.ts', '../../../src/core/digest.ts'],
  'cli/client/offline/file.ts': ['../tree/walk.ts', '../concurrency.ts', '../../../src/core/digest.ts'],
};

interface Report {
  diagnostics: Array<{ category: string; location: { path: string } }>;
}

/** The files to which the project's own lint says this, and nothing else to any. */
async function refusedFiles(folder: string, tree: Record<string, string>, category: string): Promise<string[]> {
  await writeTree(folder, tree);
  for (const name of ['biome.json', '.gitignore']) await copyFile(join(ROOT, name), join(folder, name));
  const { code, stdout, stderr } = await run(BIOME, ['lint', '--reporter=json', '--max-diagnostics=none', '.'], folder);
  const { diagnostics } = JSON.parse(stdout || `{"diagnostics": [], "stderr": ${JSON.stringify(stderr)}}`) as Report;
  const refused = diagnostics.filter((diagnostic) => diagnostic.category === category);
  if ((code === 0) !== (refused.length === 0)) throw new Error(`biome ended with ${code}: ${stderr}${stdout}`);
  return refused.map(({ location }) => location.path);
}

/** What the project's own lint says to a tree in which each of these files has one import. */
async function refusedImports(folder: string, imports: Record<string, string[]>): Promise<string[]> {
  const importOf = new Map<string, string>();
  const tree: Record<string, string> = {};
  for (const [file, specifiers] of Object.entries(imports)) {
    for (const [index, specifier] of specifiers.entries()) {
      const name = file.replace(/(\w+)\.ts$/, `$1-${index}.ts`);
      importOf.set(name, `${file}: ${specifier}`);
      tree[name] = `import thing from '${specifier}';\n\nexport { thing };\n`;
    }
  }
  const refused = await refusedFiles(folder, tree, 'lint/style/noRestrictedImports');
  return refused.map((path) => importOf.get(path) ?? path);
}

function run(file: string, args: string[], cwd: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(file, args, { cwd }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const listed = (imports: Record<string, string[]>): string[] =>
  Object.entries(imports).flatMap(([file, specifiers]) => specifiers.map((specifier) => `${file}: ${specifier}`));

test('lint refuses every import against the direction', async (t) => {
  const refused = new Set(await refusedImports(await tempFolder(t), REFUSED));
  t.deepEqual(
    listed(REFUSED).filter((entry) => !refused.has(entry)),
    [],
    'these imports went through',
  );
});

test('lint lets every import along the direction pass', async (t) => {
  t.deepEqual(await refusedImports(await tempFolder(t), ALLOWED), []);
});

test('lint refuses every circle of imports: of values, of types, and of what is imported late', async (t) => {
  const circles = {
    'src/core/a.ts': "import { b } from './b.ts';\n\nexport const a = b;\n",
    'src/core/b.ts': "import { a } from './a.ts';\n\nexport const b = () => a;\n",
    'src/http/a.ts': "import type { B } from './b.ts';\n\nexport type A = B;\n",
    'src/http/b.ts': "import type { C } from './routes/c.ts';\n\nexport type B = C | 1;\n",
    'src/http/routes/c.ts': "import type { A } from '../a.ts';\n\nexport type C = A | 2;\n",
    'cli/commands/a.ts': "export const a = async () => import('./b.ts');\n",
    'cli/commands/b.ts': "import { a } from './a.ts';\n\nexport const b = a;\n",
  };
  const along = { 'src/core/c.ts': "import { a } from './a.ts';\n\nexport const c = a;\n" };
  const refused = await refusedFiles(await tempFolder(t), { ...circles, ...along }, 'lint/suspicious/noImportCycles');
  t.deepEqual([...new Set(refused)].toSorted(), Object.keys(circles).toSorted());
});

test('npm run check is types and lint over the whole tree, and warnings fail it', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const pieces = [...(scripts.check as string).matchAll(/npm run (\S+)/g)].map(([, name]) => name as string);
  t.deepEqual(pieces, ['check:types', 'check:lint']);
  t.is(scripts['check:types'], 'tsc --noEmit');
  // `biome check` is lint, import order and format.
  t.is(scripts['check:lint'], 'biome check --error-on-warnings .');
  for (const tool of ['tsc', 'biome']) await t.notThrowsAsync(access(join(ROOT, 'node_modules/.bin', tool)));
  const { include } = JSON.parse(await readFile(join(ROOT, 'tsconfig.json'), 'utf8')) as { include: string[] };
  for (const folder of ['src', 'cli', 'migrations', 'test']) t.true(include.includes(folder), folder);
  const ci = await readFile(join(ROOT, '.ci/run'), 'utf8');
  t.regex(ci, /npm ci[\s\S]*npm run check[\s\S]*npm test/);
});
