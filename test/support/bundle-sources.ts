import { globSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { NOT_BUNDLED } from '../../scripts/bundle.ts';
import { BUNDLED_PACKAGES, INDEX } from './bundled-sources.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** With these a process or a thread begins; they do their work when they are loaded. */
const BEGINS = /(-(worker|process)|^cli\/(bin|demo))\.ts$/;
/** Each imports those before it alone, so that whoever loads one file of a layer loads what it needs of the lower ones. */
const LAYERS: ReadonlyArray<readonly [name: string, files: RegExp]> = [
  ['core', /^src\/core\//],
  ['api', /^src\/api\//],
  ['blobs', /^src\/blobs\/[^/]+$/],
  ['registry', /^(src\/registry|migrations)\//],
  ['usecases', /^src\/usecases\//],
  ['http', /^src\/http\//],
  ['client', /^cli\/client\//],
];
/** Beside package.json, so that packages are found; `.mjs`: what is CommonJS is imported as Node does it. */
const packageFile = (at: number): string => join(ROOT, `package-${at}.mjs`);

/**
 * Bundles the sources, and the packages that most test files load, each to be loaded by its own name. A process that starts a service opens
 * tens of files then, not 1,200, and takes 0.3 s less of CPU for it; there are hundreds. @param folder empty
 */
export async function bundleSources(folder: string): Promise<void> {
  const sources = globSync(['src/**/*.ts', 'cli/**/*.ts', 'migrations/*.ts'], { cwd: ROOT }).filter(
    (file) => !BEGINS.test(file),
  );
  const packages = await Promise.all(
    BUNDLED_PACKAGES.map(async (name, at) => [packageFile(at), await packageEntry(name)] as const),
  );
  const names = [...sources.map((file) => join(ROOT, file)), ...BUNDLED_PACKAGES.map((_, at) => packageFile(at))];
  await using build = await rolldown({
    cwd: ROOT,
    input: Object.fromEntries(names.map((name, at) => [`entry-${at}`, name])),
    preserveEntrySignatures: 'allow-extension',
    platform: 'node',
    external: [...NOT_BUNDLED],
    plugins: [packageEntries(new Map(packages)), placesOfSources()],
    tsconfig: false,
    checks: { eval: false, importIsUndefined: false, ineffectiveDynamicImport: false },
  });
  await build.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    // Node, which ava tells to use source maps, would read those that a file names whenever it loads that file.
    sourcemap: 'hidden',
    sourcemapExcludeSources: true,
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ debugName: 'layers', name: (id) => layerOf(id) }],
    },
  });
  const loadedAs = [...sources.map((file) => pathToFileURL(join(ROOT, file)).href), ...BUNDLED_PACKAGES];
  // Of what is not in it.
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, INDEX), JSON.stringify(loadedAs.map((name, at) => [name, `entry-${at}.js`])));
}

function layerOf(id: string): string | null {
  if (!id.startsWith(`${ROOT}/`)) return null;
  const file = id.slice(ROOT.length + 1);
  return LAYERS.find(([, files]) => files.test(file))?.[0] ?? null;
}

/** Exports what the package does, under the names that Node sees. */
async function packageEntry(name: string): Promise<string> {
  const names = Object.keys(await import(name)).filter((each) => each !== 'default' && each !== 'module.exports');
  const own = names.map((each, at) => `const v${at} = all[${JSON.stringify(each)}]; export { v${at} as ${each} };`);
  return [`import * as all from ${JSON.stringify(name)};`, 'export default all.default;', ...own].join('\n');
}

function packageEntries(codes: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'package-entries',
    resolveId: (source) => (codes.has(source) ? source : null),
    load: (id) => codes.get(id) ?? null,
  };
}

/** Workers and files beside the sources are found where the sources are. */
function placesOfSources(): Plugin {
  return {
    name: 'places-of-sources',
    transform: (code, id) => {
      if (!code.includes('import.meta.') || id.includes('/node_modules/')) return null;
      const placed = code
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
        .replaceAll('import.meta.dirname', JSON.stringify(resolve(id, '..')));
      return { code: placed, map: null };
    },
  };
}
