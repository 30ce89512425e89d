import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { VERBS } from '../../cli/commands/index.ts';
import { parseCommandLine } from '../../cli/program.ts';
import { parseIdentities } from '../../src/core/identity-file.ts';

/** deploy/ci, as the page shows it, held against the command line and the rules of that page. */
const read = (name: string): Promise<string> => readFile(resolve(import.meta.dirname, '../..', name), 'utf8');

async function rulesText(): Promise<string> {
  const [, json = ''] = /^```json\n(.*?)^```$/ms.exec(await read('docs/ci-identities.md')) ?? [];
  return json;
}

async function rules() {
  return parseIdentities(await rulesText());
}

/** The commands of ours in a script, understood by the real parser. */
async function commands(lines: readonly string[]) {
  const ours = lines.flatMap((line) => /^npx artifact-store (.*)$/.exec(line)?.[1] ?? []);
  const silent = { writeOut: () => {}, writeErr: () => {} };
  return Promise.all(
    ours.map(async (line) => {
      const words = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
      const { verb, options, common } = (await parseCommandLine(VERBS, '0.0.0', words, silent)) ?? {};
      return { verb: verb?.name, options: options as { producer?: string }, common };
    }),
  );
}

test('the page of CI identities shows the files as they are', async (t) => {
  const page = await read('docs/ci-identities.md');
  for (const file of ['github-actions.yml', 'gitlab-ci.yml']) {
    const text = await read(`deploy/ci/${file}`);
    t.true(page.includes(`[${file}](../deploy/ci/${file}):\n\n\`\`\`yaml\n${text}\`\`\``), file);
  }
});

test('GitHub Actions: commands that there are, the right to a token, and a rule that matches', async (t) => {
  const workflow = parse(await read('deploy/ci/github-actions.yml'));
  const { steps, env } = workflow.jobs.nightly;
  const all = await commands(steps.flatMap(({ run }: { run?: string }) => run ?? []));
  t.deepEqual(
    all.map(({ verb }) => verb),
    ['push', 'verify'],
  );
  t.true(all.every(({ common }) => common?.identity === 'github'));
  t.is(workflow.permissions['id-token'], 'write');
  const github = (await rules()).find(({ platform }) => platform === 'github');
  const [rule] = github?.rules ?? [];
  t.is(github?.audience, env.ARTIFACT_STORE_URL, 'what --identity asks for');
  t.true(rule?.producers?.includes(all[0]?.options.producer as string));
  t.deepEqual([...(rule?.scopes ?? [])].toSorted(), ['packages:read', 'packages:write']);
  const { claims } = JSON.parse(await rulesText()).issuers[0].rules[0];
  t.is(claims.ref, `refs/heads/${workflow.on.push.branches[0]}`);
  for (const event of Object.keys(workflow.on)) t.true(claims.event_name.includes(event), event);
});

test('GitLab CI: commands that there are, the audience of the service, and a rule that matches', async (t) => {
  const { releases } = parse(await read('deploy/ci/gitlab-ci.yml'));
  const all = await commands(releases.script);
  t.deepEqual(
    all.map(({ verb }) => verb),
    ['push', 'verify'],
  );
  const gitlab = (await rules()).find(({ platform }) => platform === 'gitlab');
  t.is(gitlab?.audience, releases.id_tokens.ARTIFACT_STORE_TOKEN.aud);
  t.is(gitlab?.audience, releases.variables.ARTIFACT_STORE_URL);
  t.true(gitlab?.rules[0]?.producers?.includes(all[0]?.options.producer as string));
  t.truthy(releases.timeout);
});
