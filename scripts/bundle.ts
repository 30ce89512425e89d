import { globSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type OutputChunk, type OutputOptions, rolldown } from 'rolldown';
import { isLazyBuiltin, isLoadedBuiltin, lazyBuiltins, REWRITTEN, rewrite, sourcesInStacks } from './bundle-plugins.ts';
import { declare } from './declarations.ts';
import { filesTogether, type Together } from './files-together.ts';
import { LEFT_OUT, leaveOut } from './left-out.ts';
import { writeLicences } from './licences.ts';

const ROOT = resolve(import.meta.dirname, '..');
const BIN = 'cli/bin.ts';
const MAIN = 'cli/main.ts';
/** What programs import. */
const LIBRARY = 'cli/library/client.ts';

/** Native, so it cannot be bundled. */
const NATIVE = ['better-sqlite3'];
/** Asked for by code of knex and pg that never runs here: other databases, and pg in C. */
const NEVER_LOADED = [
  'mariadb/callback',
  'mysql',
  'mysql2',
  'oracledb',
  'pg-native',
  'pg-query-stream',
  'sqlite3',
  'tedious',
];

/** What no bundle of ours holds. */
export const NOT_BUNDLED: readonly string[] = [...NATIVE, ...NEVER_LOADED];

/** So that a verb opens few files: `ls` needs the first four. What is loaded before the cache is in use is compiled each time. */
const TOGETHER: readonly Together[] = [
  { name: 'compile-cache', roots: ['cli/compile-cache.ts'], has: isLoadedBuiltin },
  { name: 'start', roots: [MAIN], has: isLazyBuiltin },
  { name: 'client', roots: ['cli/client/api/api-client.ts', 'cli/client/api/answers/index.ts', 'cli/view/*.ts'] },
  { name: 'answers', roots: ['cli/client/api/answers/answer.ts', 'cli/client/api/answers/packages.ts'] },
  // Before the service: what both have is the client's, which never loads the service for it.
  { name: 'verbs', roots: ['cli/client/**/*.ts', 'cli/guide-board/*.ts', 'cli/completion.ts', 'cli/statehub.ts'] },
  {
    name: 'service',
    roots: [
      'src/server.ts',
      'cli/local-service.ts',
      'cli/migrate-registry.ts',
      'cli/explain-token.ts',
      'src/rebuild-registry.ts',
      'src/install-check/install-check.ts',
    ],
  },
  { name: 's3', roots: ['src/blobs/s3/*.ts'] },
];

/** One file of the bundle. */
export interface Bundled {
  /** Relative to the folder. */
  file: string;
  /** What stands in it: paths from the checkout, and `node:` names of built-in modules that are loaded when first used. */
  modules: string[];
  /** Files of the bundle, and modules of others. */
  imports: string[];
  dynamicImports: string[];
}

/**
 * Bundles the command, and the service in it, into a folder: one set of files that share what they have in common, and beside
 * it each worker, and what else is loaded by its name, in one file; and the library, with its types. @returns what stands where
 */
export async function bundle(folder: string): Promise<Bundled[]> {
  const workers = workersOf(ROOT);
  const chunks = await write(folder, [BIN, ...globSync('migrations/0*.ts', { cwd: ROOT })], {
    chunkFileNames: 'cli/[name]-[hash].js',
    codeSplitting: {
      // Each is whole already.
      includeDependenciesRecursively: false,
      groups: [{ debugName: 'together', name: filesTogether(ROOT, TOGETHER) }],
    },
  });
  // The library, too: loading it must load nothing of the command line, and its workers stand beside it.
  for (const whole of [...workers, LIBRARY]) chunks.push(...(await write(folder, [whole], { codeSplitting: false })));
  declare(join(ROOT, LIBRARY, '..'), join(folder, 'types'));
  assertEachOnce(chunks);
  const modules = chunks.flatMap(({ moduleIds }) => moduleIds);
  await writeLicences(modules, join(folder, 'LICENCES.txt'));
  return chunks.map(({ fileName, moduleIds, imports, dynamicImports }) => ({
    file: fileName,
    modules: moduleIds.map((id) => id.replace(`${ROOT}/`, '').replaceAll('\0', '')),
    imports,
    dynamicImports,
  }));
}

async function write(folder: string, entries: string[], options: OutputOptions): Promise<OutputChunk[]> {
  const threads = [MAIN, ...workersOf(ROOT)].map((entry) => join(ROOT, entry));
  await using build = await rolldown({
    cwd: ROOT,
    input: entries,
    platform: 'node',
    external: [...NOT_BUNDLED],
    plugins: [
      leaveOut(LEFT_OUT),
      lazyBuiltins(),
      rewrite(REWRITTEN),
      sourcesInStacks(threads, join(ROOT, 'cli/source-stacks.ts')),
    ],
    // Of what is loaded by its name.
    preserveEntrySignatures: options.codeSplitting === false ? 'strict' : false,
    tsconfig: false,
    checks: { eval: false, ineffectiveDynamicImport: false },
  });
  const { output } = await build.write({
    dir: folder,
    format: 'esm',
    entryFileNames: ({ facadeModuleId }) => outputOf(facadeModuleId ?? ''),
    sourcemap: true,
    sourcemapExcludeSources: true,
    comments: false,
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
    ...options,
  });
  return output.filter((file) => file.type === 'chunk');
}

/** What runs in a thread or a process of its own, or is loaded into threads: the code that starts it names it `'./x.ts' : './x.js'`. */
export function workersOf(root: string): string[] {
  return globSync('{cli,src}/**/*.ts', { cwd: root })
    .sort()
    .flatMap((source) => {
      const named = readFileSync(join(root, source), 'utf8').matchAll(/'\.\/([\w-]+)\.ts' : '\.\/\1\.js'/g);
      return [...named].map(([, name]) => join(source, '..', `${name}.ts`));
    });
}

/** Workers are looked for beside the code that starts them, and all of that is in cli/. */
function outputOf(source: string): string {
  const folder = source.includes('/migrations/') ? 'migrations' : 'cli';
  return `${folder}/${basename(source, '.ts')}.js`;
}

function assertEachOnce(chunks: readonly OutputChunk[]): void {
  const files = chunks.map(({ fileName }) => fileName);
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw new Error(`Two entries become ${twice}: give one of them another name.`);
}
