import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'ava';
import { VERBS } from '../../cli/commands/index.ts';
import { CLIENT_OPTIONS, COMMON_OPTIONS } from '../../cli/common-options.ts';
import { EXIT } from '../../cli/errors.ts';
import { CLIENT_VARIABLES, PLATFORM_VARIABLES, PREFIX, VARIABLES } from '../../src/config.ts';
import { ERROR_TABLE } from '../../src/core/errors.ts';

/** The documentation, held against what it speaks of. */
const ROOT = resolve(import.meta.dirname, '../..');

async function markdownFiles(): Promise<string[]> {
  const inDocs = await readdir(join(ROOT, 'docs'), { recursive: true });
  const docs = inDocs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  return ['README.md', 'CHANGELOG.md', ...docs].sort();
}

/** The pages of the client's rooms. */
async function roomPages(): Promise<string[]> {
  const inClient = await readdir(join(ROOT, 'cli/client'), { recursive: true });
  return inClient.filter((name) => name.endsWith('.md')).map((name) => `cli/client/${name}`);
}

function read(file: string): Promise<string> {
  return readFile(join(ROOT, file), 'utf8');
}

/** The text without code, in which nothing is a link or a heading. */
function prose(text: string): string {
  return text.replace(/^```[^\n]*\n.*?^```$/gms, '').replace(/^ {4}.*$/gm, '');
}

/** Table rows whose first cell holds names in backticks: each name with the cells after it. */
function rows(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of prose(text).split('\n')) {
    if (!line.startsWith('| `')) continue;
    const [first = '', ...others] = line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    for (const [, name] of first.matchAll(/`([^`]+)`/g)) found.set(name as string, others);
  }
  return found;
}

/** The part of a text under a heading, up to the next one of the same level. */
function section(text: string, heading: string): string {
  const [level = ''] = /^#+/.exec(heading) ?? [];
  const start = text.indexOf(`\n${heading}\n`);
  const rest = start === -1 ? '' : text.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${level.length}} `, 'm'));
  return end === -1 ? rest : rest.slice(0, end);
}

/** As GitHub makes anchors of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('the README names every variable, with its default', async (t) => {
  const environment = rows(section(await read('README.md'), '## Environment'));
  const service = Object.keys(VARIABLES).map((name) => PREFIX + name);
  const client = CLIENT_VARIABLES.map((name) => PREFIX + name);
  const named = [...environment.keys()];
  t.deepEqual(named.toSorted(), [...service, ...client, ...PLATFORM_VARIABLES].toSorted());
  for (const [name, schema] of Object.entries(VARIABLES)) {
    const cell = environment.get(PREFIX + name)?.[0] ?? '';
    const { data: value } = schema.safeParse(undefined);
    const isSet = value !== undefined && !(Array.isArray(value) && value.length === 0);
    // As it is written in the environment: `24h` is so many milliseconds inside.
    if (isSet) t.deepEqual(schema.safeParse(/^`(.*)`$/.exec(cell)?.[1]).data, value, `${name}: ${cell}`);
    else t.notRegex(cell, /`(?!\.)/, `${name} has no default`);
  }
});

test('the README begins with two commands, each to be pasted as it stands', async (t) => {
  const top = (await read('README.md')).split('\n## ')[0] ?? '';
  const blocks = [...top.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands);
  t.deepEqual(blocks, ['npm ci && npm run demo\n', 'npm ci && npm test\n']);
  t.true(top.startsWith('# artifact-store\n\n```sh\n'));
});

test('every variable that the docs speak of exists', async (t) => {
  // HOTS is the misspelt one of the example.
  const known = new Set([...Object.keys(VARIABLES), ...CLIENT_VARIABLES, 'TEST', 'TEST_SEED', 'TEST_SECONDS', 'HOTS']);
  for (const file of await markdownFiles()) {
    for (const [, name] of (await read(file)).matchAll(/ARTIFACT_STORE_([A-Z][A-Z0-9_]*[A-Z0-9])/g)) {
      t.true(
        known.has(name as string) || /^TEST_(DATABASE_URL|S3_\w+|TIMES|CLI|REQUESTS)$/.test(name as string),
        `${file}: ARTIFACT_STORE_${name}`,
      );
    }
  }
});

test('docs/errors.md has every code with its status, and no other', async (t) => {
  const documented = [...rows(await read('docs/errors.md'))].map(([code, cells]) => [code, cells[0]]);
  const expected = Object.entries(ERROR_TABLE).map(([code, { status }]) => [code, String(status)]);
  t.deepEqual(Object.fromEntries(documented), Object.fromEntries(expected));
  t.is(documented.length, expected.length, 'each once');
});

test('docs/api.md names no code that does not exist', async (t) => {
  const named = [...(await read('docs/api.md')).matchAll(/Codes:(.*?)\n\n/gs)].flatMap(([, list]) =>
    [...((list as string).split(/\. /s)[0]?.matchAll(/`([a-z_]+)`/g) ?? [])].map(([, code]) => code as string),
  );
  t.true(named.length > 50);
  const fields = new Set(['paths', 'expires_at', 'holds']);
  t.deepEqual(
    named.filter((code) => !(code in ERROR_TABLE) && !fields.has(code)),
    [],
  );
});

test('docs/cli.md has every verb with its arguments and options, and no other', async (t) => {
  const text = await read('docs/cli.md');
  const verbs = text.slice(text.indexOf('\n# Verbs\n'), text.indexOf('\n# Pushing, in detail\n'));
  t.deepEqual(
    [...verbs.matchAll(/^## (.+)$/gm)].map(([, name]) => name),
    VERBS.map((verb) => verb.name),
  );
  for (const verb of VERBS) {
    const named = rows(section(verbs, `## ${verb.name}`));
    const expected = [
      ...(verb.arguments ?? []).map((argument) => argument.name),
      ...(verb.options ?? []).map((option) => option.flags),
    ];
    t.deepEqual([...named.keys()], expected, verb.name);
  }
  const common = rows(section(text, '## Options of every verb'));
  const client = rows(section(text, '## Options of every verb that talks to a service'));
  t.deepEqual(
    [...common.keys()],
    COMMON_OPTIONS.map(({ flags }) => flags),
  );
  t.deepEqual(
    [...client.keys()],
    CLIENT_OPTIONS.map(({ flags }) => flags),
  );
});

test('docs/cli.md has every exit code, and no other', async (t) => {
  const table = section(await read('docs/cli.md'), '## Exit codes');
  const codes = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  t.deepEqual(codes, Object.values(EXIT));
});

test('relative links lead somewhere, anchors too', async (t) => {
  for (const file of [...(await markdownFiles()), ...(await roomPages())]) {
    for (const [, target = ''] of prose(await read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const to = path === '' ? file : relative(ROOT, resolve(ROOT, dirname(file), path));
      await t.notThrowsAsync(access(join(ROOT, to)), `${file} links to ${target}`);
      if (anchor !== undefined) t.true(anchorsOf(await read(to)).has(anchor), `${file} links to ${target}`);
    }
  }
});

test('every file that the architecture and the rooms of the client name is there', async (t) => {
  const pages = ['docs/architecture.md', ...(await roomPages())];
  let named = 0;
  for (const page of pages) {
    // The table of folders names files by their names alone.
    const places = ['', 'src/', 'cli/client/', `${dirname(page)}/`, 'src/registry/', 'src/http/', 'cli/'];
    for (const [, name = ''] of (await read(page)).matchAll(/`([\w./-]+\.ts)`/g)) {
      named += 1;
      const found = await Promise.allSettled(places.map((place) => access(join(ROOT, place, name))));
      t.true(
        found.some(({ status }) => status === 'fulfilled'),
        `${page} names ${name}`,
      );
    }
  }
  t.true(named > 120, `${named} names were found`);
});

test('every page of docs/ can be reached from the README', async (t) => {
  const readme = await read('README.md');
  const pages = (await markdownFiles()).filter((file) => file.startsWith('docs/'));
  t.deepEqual(
    pages.filter((page) => !readme.includes(`](${page})`)),
    [],
  );
});

test('every test that the docs name is there', async (t) => {
  let titles = 0;
  for (const file of await markdownFiles()) {
    const text = (await read(file)).replaceAll(/[ \t]*\n[ \t]*(?=\S)/g, ' ');
    for (const [, path = '', list = ''] of text.matchAll(/`(test\/[\w/.-]+\.ts)`((?:[ ,]|and|\(?“[^”]+”)*)/g)) {
      await t.notThrowsAsync(access(join(ROOT, path)), `${file} names ${path}`);
      const source = await read(path);
      for (const [, title = ''] of list.matchAll(/“([^”]+)”/g)) {
        titles += 1;
        const there = ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`));
        t.true(there, `${file}: ${path} has no test “${title}”`);
      }
    }
  }
  t.true(titles > 60, `${titles} titles were found`);
});

test('the requested top-level entries are there', async (t) => {
  const requested =
    'package.json tsconfig.json README.md .gitignore src migrations cli test fixtures docs compose.yaml .ci Dockerfile LICENSE CHANGELOG.md package-lock.json';
  for (const entry of requested.split(' ')) await t.notThrowsAsync(access(join(ROOT, entry)), entry);
});

test('the changelog has this version', async (t) => {
  const { version } = JSON.parse(await read('package.json')) as { version: string };
  t.true((await read('CHANGELOG.md')).includes(`\n## [${version}]`));
});

test('nothing of the machine that it was written on stands in the docs', async (t) => {
  const ofMachine =
    /\/(?:home|root|Users|work)\/|\/tmp\/(?!artifact-store-demo-)|(?:^|[^.\w])registry\.[\w-]+\.\w+|hostname":"(?!…)/;
  for (const file of await markdownFiles()) {
    for (const line of (await read(file)).split('\n')) {
      // The registry's own files are no hosts.
      t.notRegex(line.replaceAll(/registry\.(?:sqlite|test\.ts)/g, ''), ofMachine, file);
    }
  }
});
