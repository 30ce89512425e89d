import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import { blocksOf } from '../../support/page-blocks.ts';
import { startTestService } from '../../support/service.ts';
import { readTree, writeTree } from '../../support/tree.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const URL_OF_PAGE = 'http://127.0.0.1:8420';

export interface Installed {
  /** A folder with the package in its node_modules, and nothing of the checkout. */
  folder: string;
  run(
    file: string,
    args: string[],
    cwd: string,
    env?: Record<string, string>,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** What a program gets that imports `artifact-store/client` of an installed package. */
export function installedClientSuite<Context extends Installed>(test: TestFn<Context>): void {
  async function node(t: ExecutionContext<Context>, script: string, ...args: string[]): Promise<string> {
    const { folder, run } = t.context;
    const env = { XDG_CACHE_HOME: join(folder, 'program-cache') };
    const { code, stdout, stderr } = await run(process.execPath, [script, ...args], folder, env);
    if (code !== 0) throw new Error(`${script} ended with ${code}:\n${stdout}\n${stderr}`);
    t.is(stderr.replace(/^(hashing|sending|committing|verifying|finalizing) \d+\/\d+\n/gm, ''), '', script);
    return stdout;
  }

  test('a program of modules, and one of CommonJS, push and pull', async (t) => {
    const { folder } = t.context;
    const service = await startTestService();
    t.teardown(() => service.dispose());
    // Small files in a pack, and a large one: read, hashed and written by threads.
    const files = {
      'a b.txt': 'A',
      'sub/ä.txt': 'evidence '.repeat(20_000),
      'large.bin': Buffer.alloc(9 * 1024 ** 2, 'evidence '),
    };
    await writeTree(join(folder, 'program-run'), files);
    const work = `
      const client = createClient({ url: ${JSON.stringify(service.url)} });
      const { id } = await client.push('program-run', { producer: 'programs' });
      await client.pull(id, process.argv[2]);
      console.log(JSON.stringify([id, Buffer.from(await client.readFile(id, 'a b.txt')).toString()]));`;
    await writeFile(join(folder, 'p.mjs'), `import { createClient } from 'artifact-store/client';${work}`);
    await writeFile(
      join(folder, 'p.cjs'),
      `const { createClient } = require('artifact-store/client'); (async () => {${work}})();`,
    );
    const ids = new Set<string>();
    for (const program of ['p.mjs', 'p.cjs']) {
      const [id, text] = JSON.parse(await node(t, program, `copy-${program}`)) as [string, string];
      t.is(text, 'A');
      ids.add(id);
      t.deepEqual(await readTree(join(folder, `copy-${program}`)), await readTree(join(folder, 'program-run')));
    }
    t.is(ids.size, 2, 'without an external id, each makes its own');
  });

  test('every example of docs/client.md runs, and has types', async (t) => {
    const { folder, run } = t.context;
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const examples = await blocksOf('client.md', 'js');
    t.true(examples.every((example) => example.trim().split('\n').length <= 12));
    await writeTree(join(folder, 'results'), { 'logs/build.log': 'built\n', 'summary.json': '{}\n' });
    let id = '';
    for (const [index, example] of examples.entries()) {
      t.true(example.includes(URL_OF_PAGE));
      await writeFile(join(folder, `example-${index}.mjs`), example.replaceAll(URL_OF_PAGE, service.url));
      const said = await node(t, `example-${index}.mjs`, ...(id === '' ? [] : [id]));
      const [named] = /pkg_[0-9a-f]{32}/.exec(said) ?? [];
      if (id === '') id = named as string;
      t.regex(
        said,
        [/2 files/, /^pkg_\w+ 0$/m, /^6 sha256:/, /^finalized sha256:/, /1 files, 6 bytes$/m, /true$/m, /^404 /][
          index
        ] ?? /^$/,
      );
    }
    t.deepEqual(await readTree(join(folder, `copies/${id}`)), {
      'logs/build.log': (await readTree(join(folder, 'results')))['logs/build.log'],
    });

    const project = join(folder, 'typed');
    const sources = examples.map((example, index) => [`example-${index}.mts`, example] as const);
    await writeTree(project, { ...Object.fromEntries(sources), 'uses.mts': USES, 'uses.cts': USES_BY_REQUIRE });
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    for (const [module, moduleResolution, lib] of [
      ['nodenext', 'nodenext', ['es2024']],
      ['esnext', 'bundler', ['es2024', 'dom']],
    ] as const) {
      const compilerOptions = {
        module,
        moduleResolution,
        lib,
        target: 'es2024',
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(ROOT, 'node_modules/@types')],
      };
      // `require` has types where Node's rules hold.
      const include = module === 'nodenext' ? ['*.mts', '*.cts'] : ['*.mts'];
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }));
      const { code, stdout } = await run(process.execPath, [tsc], project);
      t.is(stdout, '', moduleResolution);
      t.is(code, 0, moduleResolution);
    }
  });
}

/** That the types say something: a wrong use is an error, which is expected, or the directive is one. */
const USES = `
import { ArtifactStoreError, type Client, createClient, type Package, type PushResult } from 'artifact-store/client';
const client: Client = createClient({ url: 'http://127.0.0.1:8420' });
const pushed: PushResult = await client.push('.', { producer: 'p' });
const { finalized_at }: Package = await client.packages.get(pushed.id);
const when: string | null = finalized_at;
for await (const chunk of (await client.openFile(pushed.id, 'a', { range: { offset: 0, length: 1 } })).body) chunk.subarray(1);
// @ts-expect-error a producer is needed
await client.push('.', {});
// @ts-expect-error misspelt
await client.push('.', { producer: 'p', externalID: 'x' });
// @ts-expect-error either of them
await client.retention.extend(pushed.id, { reason: 'r' });
// @ts-expect-error no such status
client.packages.list({ status: 'done' });
// @ts-expect-error read only
new ArtifactStoreError('m', { code: 'failed' }).code = when ?? '';
`;

const USES_BY_REQUIRE = `
import artifacts = require('artifact-store/client');
const client: artifacts.Client = artifacts.createClient({ url: 'http://127.0.0.1:8420' });
// @ts-expect-error a number is no id
client.packages.get(1);
`;
