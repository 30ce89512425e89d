import test from 'ava';
import fc from 'fast-check';
import { IdentityFileError, parseIdentities } from '../../src/core/identity-file.ts';
import {
  actorOf,
  type Claims,
  decidingRule,
  sayUnmet,
  type TrustedIssuer,
  tryRules,
} from '../../src/core/identity-rules.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const CLAIMS = { repository_id: '74', ref: 'refs/heads/main' };
const RULE = { name: 'nightly', claims: CLAIMS, producers: ['nightly-build'], scopes: ['packages:write'] };
const ISSUER = {
  name: 'github',
  issuer: GITHUB,
  platform: 'github',
  audience: 'https://store.example',
  rules: [RULE],
};

const fileOf = (issuer: object): string => JSON.stringify({ issuers: [{ ...ISSUER, ...issuer }] });
const ruleFile = (rule: object): string => fileOf({ rules: [{ ...RULE, ...rule }] });
const GITLAB = { name: 'gitlab', issuer: 'https://gitlab.com', platform: 'gitlab' };
const gitlabFile = (claims: object): string => fileOf({ ...GITLAB, rules: [{ ...RULE, claims }] });
const otherFile = (claims: object): string =>
  fileOf({ name: 'ci', issuer: 'https://ci.example', platform: 'other', rules: [{ ...RULE, claims }] });

/** Of one rule that wants these claims. */
function decides(wanted: object, claims: Claims): boolean {
  const [issuer] = parseIdentities(otherFile(wanted));
  return decidingRule(tryRules((issuer as TrustedIssuer).rules, claims)) !== null;
}

test('a file says what each issuer is trusted with', (t) => {
  const [issuer, ...others] = parseIdentities(fileOf({}));
  t.deepEqual(others, []);
  t.deepEqual(issuer, {
    name: 'github',
    url: GITHUB,
    platform: 'github',
    audience: 'https://store.example',
    algorithms: ['RS256'],
    rules: [
      {
        name: 'nightly',
        claims: new Map([
          ['repository_id', ['74']],
          ['ref', ['refs/heads/main']],
        ]),
        producers: ['nightly-build'],
        scopes: ['packages:write'],
      },
    ],
  });
  t.deepEqual(parseIdentities('{"issuers": []}'), []);
  t.is(parseIdentities(ruleFile({ producers: null }))[0]?.rules[0]?.producers, null);
  t.deepEqual(parseIdentities(fileOf({ algorithms: ['ES256', 'RS256'] }))[0]?.algorithms, ['RS256', 'ES256']);
});

/** What is wrong with a file, and what the message must say. */
const WRONG: Array<[string, string, RegExp]> = [
  ['no JSON', '{', /is not JSON/],
  ['no object', '[]', /the file must be an object/],
  ['no issuers', '{}', /issuers must be a list/],
  ['an unknown field', '{"issuers": [], "rules": []}', /unknown field "rules"; known are issuers/],
  ['an issuer without a name', fileOf({ name: undefined }), /issuers\[0\]\.name is missing/],
  ['a name that is an actor of others', fileOf({ name: 'admin' }), /issuers\[0\]\.name begins the actor/],
  ['a name with a colon', fileOf({ name: 'a:b' }), /issuers\[0\]\.name begins the actor/],
  [
    'an issuer over http',
    fileOf({ issuer: 'http://ci.example', platform: 'other' }),
    /issuer "github": issuer must be/,
  ],
  ['an issuer that is no URL', fileOf({ issuer: 'github' }), /issuer "github": issuer must be the https:\/\/ URL/],
  ['an issuer with a query', fileOf({ issuer: `${GITHUB}?a` }), /issuer "github": issuer must be/],
  ['a platform that is none', fileOf({ platform: 'jenkins' }), /platform must be one of github, gitlab, other/],
  ['GitHub under another platform', fileOf({ platform: 'other' }), /platform must be github: https:\/\/token/],
  ['an enterprise of GitHub', fileOf({ issuer: `${GITHUB}/acme`, platform: 'other' }), /platform must be github/],
  ['gitlab.com under another platform', fileOf({ ...GITLAB, platform: 'other' }), /platform must be gitlab/],
  ['no audience', fileOf({ audience: undefined }), /issuer "github": audience is needed/],
  ['an empty audience', fileOf({ audience: '' }), /audience must not be empty/],
  [
    'the default audience of GitHub',
    fileOf({ audience: 'https://github.com/acme' }),
    /audience is the default of GitHub/,
  ],
  ['no algorithm', fileOf({ algorithms: [] }), /algorithms must list some of RS256/],
  ['the algorithm none', fileOf({ algorithms: ['none'] }), /algorithms must list some of RS256/],
  ['an algorithm with a secret', fileOf({ algorithms: ['RS256', 'HS256'] }), /algorithms must list some of RS256/],
  ['rules that are no list', fileOf({ rules: {} }), /issuer "github": rules must be a list/],
  ['a rule without a name', ruleFile({ name: undefined }), /issuer "github": rules\[0\]\.name is missing/],
  ['two rules of one name', fileOf({ rules: [RULE, RULE] }), /issuer "github" has two rules with the name "nightly"/],
  ['two issuers of one name', JSON.stringify({ issuers: [ISSUER, ISSUER] }), /two issuers with the name "github"/],
  [
    'two issuers of one URL',
    JSON.stringify({ issuers: [ISSUER, { ...ISSUER, name: 'again' }] }),
    /two issuers with the url "https:\/\/token/,
  ],
  ['an unknown field of a rule', ruleFile({ scope: [] }), /rules\[0\] has the unknown field "scope"/],
  ['no claims', ruleFile({ claims: {} }), /rule "nightly": claims must name at least one claim/],
  [
    'a claim that is always checked',
    ruleFile({ claims: { ...CLAIMS, aud: 'x' } }),
    /claims\.aud is no claim for rules/,
  ],
  ['an empty list', ruleFile({ claims: { ...CLAIMS, ref: [] } }), /claims\.ref must list at least one text/],
  ['null as a claim', ruleFile({ claims: { ...CLAIMS, ref: null } }), /claims\.ref must be a text/],
  ['a number as a claim', ruleFile({ claims: { ...CLAIMS, run: 3 } }), /claims\.run must be a text: write "3"/],
  ['a * in a text', ruleFile({ claims: { ...CLAIMS, ref: 'a*' } }), /claims\.ref is compared as .*\{"glob": "a\*"\}/],
  [
    'braces',
    ruleFile({ claims: { ...CLAIMS, ref: { glob: '{a,b}' } } }),
    /claims\.ref\.glob may have \* and \*\* only/,
  ],
  ['a set', ruleFile({ claims: { ...CLAIMS, ref: { glob: '[a-z]' } } }), /claims\.ref\.glob may have \* and \*\* only/],
  [
    'a regular expression',
    ruleFile({ claims: { ...CLAIMS, ref: { regex: '.*' } } }),
    /unknown field "regex"; known are/,
  ],
  [
    'an id that is a glob',
    ruleFile({ claims: { ...CLAIMS, repository_id: { glob: '*' } } }),
    /repository_id must be an id/,
  ],
  [
    'an id that is a name',
    ruleFile({ claims: { ...CLAIMS, repository_id: 'acme/tool' } }),
    /repository_id must be an id/,
  ],
  [
    'an id that is a number',
    ruleFile({ claims: { ...CLAIMS, repository_id: 74 } }),
    /repository_id must be a text: write "74"/,
  ],
  [
    'the name of a repository without its id',
    ruleFile({ claims: { repository: 'acme/tool', ref: 'refs/heads/main' } }),
    /issuer "github", rule "nightly": claims must name repository_id or repository_owner_id: a name can be given up/,
  ],
  [
    'an id without any place',
    ruleFile({ claims: { repository_id: '74' } }),
    /must name ref or environment or job_workflow_ref/,
  ],
  [
    'the name of a project',
    gitlabFile({ project_path: 'a/b', ref: 'main', ref_type: 'branch' }),
    /project_id or namespace_id/,
  ],
  ['a ref without its type', gitlabFile({ project_id: '22', ref: 'main' }), /ref and ref_type together/],
  [
    'a type without its ref',
    gitlabFile({ project_id: '22', ref_type: 'tag', environment: 'x' }),
    /ref and ref_type together/,
  ],
  ['no producers', ruleFile({ producers: undefined }), /rule "nightly": producers must list/],
  ['an empty list of producers', ruleFile({ producers: [] }), /rule "nightly": producers must list/],
  ['a producer that is none', ruleFile({ producers: ['a\n'] }), /rule "nightly": producers contains control/],
  ['no scopes', ruleFile({ scopes: [] }), /rule "nightly": scopes must list some of packages:read/],
  ['an unknown scope', ruleFile({ scopes: ['packages:write', 'all'] }), /scopes must list some of .*, not "all"/],
  [
    'operator of one producer',
    ruleFile({ scopes: ['operator'] }),
    /rule "nightly" has the scope operator, which acts on the whole store/,
  ],
];
for (const [what, text, says] of WRONG) {
  test(`a file of rules with ${what} is refused, naming the place`, (t) => {
    const error = t.throws(() => parseIdentities(text), { instanceOf: IdentityFileError });
    t.regex(error.message, says);
  });
}

test('rules of GitHub and GitLab need no more than an id and a place', (t) => {
  for (const text of [
    ruleFile({
      claims: { repository_owner_id: '65', job_workflow_ref: { glob: 'acme/ci/.github/workflows/*@refs/heads/main' } },
    }),
    ruleFile({ claims: { repository_id: ['74', '75'], environment: 'release' } }),
    gitlabFile({ project_id: '22', ref: 'main', ref_type: 'branch' }),
    gitlabFile({ namespace_id: '72', environment: 'production' }),
    otherFile({ sub: 'job-7' }),
  ]) {
    t.is(parseIdentities(text).length, 1);
  }
});

test('a claim is compared whole, and its case counts', (t) => {
  t.true(decides({ ref: 'refs/heads/main' }, { ref: 'refs/heads/main' }));
  for (const ref of [
    'refs/heads/main2',
    'xrefs/heads/main',
    'refs/heads/mai',
    'refs/heads/MAIN',
    '',
    ' refs/heads/main',
  ]) {
    t.false(decides({ ref: 'refs/heads/main' }, { ref }), ref);
  }
  for (const ref of [undefined, null, {}, { 0: 'refs/heads/main' }, [{}], []]) {
    t.false(decides({ ref: 'refs/heads/main' }, { ref }));
  }
  t.false(decides({ toString: 'x' }, {}), 'what every object has is no claim');
  t.true(decides({ id: '42', flag: 'true' }, { id: 42, flag: true }), 'numbers and booleans as JSON writes them');
  t.false(decides({ id: '42.5' }, { id: 42.5 }));
  t.true(decides({ groups: 'b' }, { groups: ['a', 'b'] }), 'of a list one is enough');
  t.false(decides({ groups: 'a,b' }, { groups: ['a', 'b'] }));
});

test('every claim must be met, by one of what is listed for it', (t) => {
  const wanted = { ref: ['refs/heads/main', { glob: 'refs/tags/v*' }], event_name: ['push', 'schedule'] };
  t.true(decides(wanted, { ref: 'refs/heads/main', event_name: 'push' }));
  t.true(decides(wanted, { ref: 'refs/tags/v1.2', event_name: 'schedule' }));
  t.false(decides(wanted, { ref: 'refs/tags/v1.2' }));
  t.false(decides(wanted, { ref: 'refs/tags/v1.2', event_name: 'pull_request' }));
  t.false(decides(wanted, { ref: 'refs/tags/v1/2', event_name: 'push' }), '* ends at /');
});

const segment = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);

test('* never crosses a /; ** does, whole segments at a time', (t) => {
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (rest) => {
      const ref = `refs/heads/${rest.join('/')}`;
      t.is(decides({ ref: { glob: 'refs/heads/*' } }, { ref }), rest.length === 1, ref);
      t.true(decides({ ref: { glob: 'refs/heads/**' } }, { ref }), ref);
      t.false(decides({ ref: { glob: 'refs/tags/**' } }, { ref }), ref);
      t.is(
        decides({ ref: { glob: 'refs/heads/release-*' } }, { ref }),
        rest.length === 1 && ref.startsWith('refs/heads/release-'),
      );
    }),
  );
});

test('an exact text matches itself and nothing else', (t) => {
  const text = fc
    .string({ minLength: 1, maxLength: 20 })
    .filter((one) => !/[*\p{Cc}]/u.test(one) && one.isWellFormed());
  fc.assert(
    fc.property(text, text, (wanted, found) => {
      t.is(decides({ sub: wanted }, { sub: found }), wanted === found);
    }),
  );
});

test('the first rule that matches decides', (t) => {
  const rules = [
    { ...RULE, name: 'one', claims: { sub: 'a' } },
    { ...RULE, name: 'two', claims: { sub: ['a', 'b'] } },
  ];
  const [issuer] = parseIdentities(fileOf({ name: 'ci', issuer: 'https://ci.example', platform: 'other', rules }));
  const decided = (sub: string) => decidingRule(tryRules(issuer?.rules ?? [], { sub }))?.name ?? null;
  t.deepEqual(['a', 'b', 'c'].map(decided), ['one', 'two', null]);
});

test('what is unmet is said with the claim, what it is and what it should be', (t) => {
  const [issuer] = parseIdentities(ruleFile({ claims: { ...CLAIMS, environment: ['a', { glob: 'b-*' }] } }));
  const [trial] = tryRules(issuer?.rules ?? [], { repository_id: '75', ref: 'refs/heads/main' });
  t.deepEqual(trial?.unmet.map(sayUnmet), [
    'repository_id is "75", not "74"',
    'environment is not in the token, not "a" or like "b-*"',
  ]);
});

test('an actor names project, ref and run, and nobody', (t) => {
  const [github] = parseIdentities(fileOf({})) as [TrustedIssuer];
  const job = { repository_id: '74', ref: 'refs/heads/main', run_id: '1658821493', run_attempt: '2', actor: 'octocat' };
  t.is(actorOf(github, job), 'github:74/refs/heads/main/run/1658821493.2');
  t.is(actorOf(github, {}), 'github:?/?/run/?.?');
  t.is(
    actorOf(github, { ...job, ref: `a\n\u0000\ud800${'x'.repeat(999)}` }).length,
    'github:74//run/1658821493.2'.length + 200,
  );
  t.notRegex(actorOf(github, { ...job, ref: 'a\nb\u009b' }), /[\n\u009b]/);
  const [gitlab] = parseIdentities(gitlabFile({ project_id: '22', environment: 'x' })) as [TrustedIssuer];
  const other = { project_id: '22', ref: 'main', ref_type: 'branch', job_id: '1212', user_email: 'a@b.example' };
  t.is(actorOf(gitlab, other), 'gitlab:22/branch/main/job/1212');
  const [ci] = parseIdentities(otherFile({ sub: 'x' })) as [TrustedIssuer];
  t.is(actorOf(ci, { sub: 'job-7' }), 'ci:job-7');
});
