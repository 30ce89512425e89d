import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test from 'ava';
import { buildInto } from '../support/built.ts';
import { tempFolder } from '../support/temp.ts';

const ROOT = resolve(import.meta.dirname, '../..');

interface Component {
  'bom-ref': string;
  name: string;
  version: string;
  purl: string;
  licenses?: unknown[];
}

test('the bill of materials names what an installation has, each with version and licence, and no tool of developers', async (t) => {
  const bom = JSON.parse(
    execFileSync('npm', ['run', '-s', 'sbom'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 }),
  );
  t.like(bom, { bomFormat: 'CycloneDX', metadata: { component: { name: 'artifact-store', type: 'application' } } });
  const components: Component[] = bom.components;
  const ids = new Set(components.map(({ name, version }) => `${name} ${version}`));
  const { dist } = await buildInto(await tempFolder(t));
  const licences = await readFile(join(dist, 'LICENCES.txt'), 'utf8');
  const bundled = [...licences.matchAll(/^((?:@[\w.-]+\/)?[\w.-]+ \d+\.\d+\.\S+) \(/gm)].map(([, id]) => id as string);
  t.true(bundled.length > 100);
  t.deepEqual(
    bundled.filter((id) => !ids.has(id)),
    [],
  );
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  for (const [name, version] of Object.entries(dependencies)) t.true(ids.has(`${name} ${version}`), name);
  for (const { name, version, purl, licenses } of components) {
    t.is(purl, `pkg:npm/${name.replace('@', '%40')}@${version}`);
    t.truthy(licenses, name);
  }
  for (const tool of ['ava', 'typescript', '@biomejs/biome', 'fast-check', 'rolldown'])
    t.false(
      components.some(({ name }) => name === tool),
      tool,
    );
  const refs = new Set([bom.metadata.component['bom-ref'], ...components.map((each) => each['bom-ref'])]);
  for (const { ref, dependsOn } of bom.dependencies)
    for (const each of [ref, ...dependsOn]) t.true(refs.has(each), `${ref} names ${each}`);
});
