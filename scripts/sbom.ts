import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bundle } from './bundle.ts';
import { packageFolders } from './licences.ts';

interface Component {
  'bom-ref': string;
  name: string;
  version: string;
  scope?: string;
  properties?: Array<{ name: string; value: string }>;
}

interface Bom {
  metadata: { component: Component };
  components: Component[];
  dependencies: Array<{ ref: string; dependsOn?: string[] }>;
}

const ROOT = resolve(import.meta.dirname, '..');
/** npm's word for what only developers install. What is bundled is one of those, and installed all the same. */
const DEVELOPMENT = 'cdx:npm:package:development';

/**
 * The software bill of materials (CycloneDX 1.5, as npm writes it) of what an installation has: packages whose code is in the bundle,
 * and those that are installed beside it. Tools of developers are left out.
 */
function sbomOf(all: Bom, bundled: ReadonlySet<string>, name: string): Bom {
  const isShipped = (component: Component): boolean => bundled.has(idOf(component)) || !isDevelopment(component);
  const components = all.components.filter(isShipped).map((component) => ({
    ...component,
    scope: 'required',
    properties: (component.properties ?? []).filter((property) => property.name !== DEVELOPMENT),
  }));
  const root = all.metadata.component['bom-ref'];
  const refs = new Set([root, ...components.map((component) => component['bom-ref'])]);
  const dependencies = all.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) }));
  const component = { ...all.metadata.component, type: 'application', name };
  return { ...all, metadata: { ...all.metadata, component }, components, dependencies };
}

function idOf({ name, version }: { name: string; version: string }): string {
  return `${name}@${version}`;
}

function isDevelopment({ properties = [] }: Component): boolean {
  return properties.some(({ name, value }) => name === DEVELOPMENT && value === 'true');
}

const folder = mkdtempSync(join(tmpdir(), 'artifact-store-sbom-'));
try {
  const modules = (await bundle(folder)).flatMap((file) => file.modules.map((module) => resolve(ROOT, module)));
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
  const bundled = new Set(packageFolders(modules).map((each) => idOf(read(join(each, 'package.json')))));
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 } as const;
  const all: Bom = JSON.parse(execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], options));
  const { name } = read(join(ROOT, 'package.json'));
  process.stdout.write(`${JSON.stringify(sbomOf(all, bundled, name), null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
