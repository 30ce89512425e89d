import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { type Config, ConfigError, loadConfig, PREFIX, parseRetentionClasses, VARIABLES } from '../../src/config.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import { SECRETS } from '../../src/secret-files.ts';
import { startService } from '../../src/server.ts';
import { tempFolder } from '../support/temp.ts';

const load = (env: Record<string, string>): Config =>
  loadConfig(Object.fromEntries(Object.entries(env).map(([name, value]) => [PREFIX + name, value])));

const DEFAULTS: Config = {
  host: '127.0.0.1',
  port: 8420,
  publicUrl: null,
  dataDir: './data',
  s3: null,
  databaseUrl: null,
  signingKey: null,
  attestationKey: null,
  timeStamps: null,
  adminToken: null,
  identities: null,
  retentionClassesFile: null,
  limitsFile: null,
  corsOrigins: [],
  sweepInterval: null,
  fixityPeriod: 2_592_000_000,
  fixityRate: 20_000_000,
  sweepGrace: 86_400_000,
  webhookAllow: [],
  logLevel: 'info',
};

const S3_DEFAULTS: Config['s3'] = {
  bucket: 'evidence',
  endpoint: null,
  publicEndpoint: null,
  region: 'us-east-1',
  prefix: null,
  forcePathStyle: true,
  credentials: null,
  uploadCredentials: null,
  verify: 'auto',
  objectLock: 'off',
  proxies: {},
};

test('without any variable everything has the default of the documentation', (t) => {
  t.deepEqual({ ...loadConfig({}) }, DEFAULTS);
  t.deepEqual({ ...loadConfig({ PATH: '/bin', HOME: '/', artifact_store_port: 'x' }) }, DEFAULTS);
});

test('an empty variable is one that is not set', (t) => {
  const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, '']));
  t.deepEqual({ ...load(empty) }, DEFAULTS);
});

/** A good value of each variable that can have one yet, and what the configuration then says. */
const GOOD: Record<string, Array<[string, Partial<Config>]>> = {
  HOST: [
    ['0.0.0.0', { host: '0.0.0.0' }],
    ['::1', { host: '::1' }],
  ],
  PORT: [
    ['0', { port: 0 }],
    ['65535', { port: 65_535 }],
  ],
  PUBLIC_URL: [
    ['https://store.example', { publicUrl: 'https://store.example' }],
    ['http://store.example/under/', { publicUrl: 'http://store.example/under' }],
  ],
  DATA_DIR: [['/srv/artifacts', { dataDir: '/srv/artifacts' }]],
  DATABASE_URL: [['postgres://store@db/store', { databaseUrl: 'postgres://store@db/store' }]],
  S3_BUCKET: [['evidence', { s3: S3_DEFAULTS }]],
  SIGNING_KEY: [['k'.repeat(32), { signingKey: 'k'.repeat(32) }]],
  ATTESTATION_KEY: [['/etc/key.pem', { attestationKey: '/etc/key.pem' }]],
  TIMESTAMP_URL: [
    ['http://tsa.test/', { timeStamps: { url: 'http://tsa.test/', proxies: {} } }],
    ['https://tsa.test/tsr?policy=a%40b', { timeStamps: { url: 'https://tsa.test/tsr?policy=a%40b', proxies: {} } }],
  ],
  ADMIN_TOKEN: [
    ['t'.repeat(16), { adminToken: 't'.repeat(16) }],
    [` ${'t'.repeat(16)}\r\n`, { adminToken: 't'.repeat(16) }],
  ],
  OIDC_RULES: [['/etc/identities.json', { identities: { file: '/etc/identities.json', proxies: {} } }]],
  RETENTION_CLASSES: [['/etc/classes.json', { retentionClassesFile: '/etc/classes.json' }]],
  LIMITS: [['/etc/limits.json', { limitsFile: '/etc/limits.json' }]],
  CORS_ORIGINS: [
    ['https://board.example', { corsOrigins: ['https://board.example'] }],
    ['https://a.example, http://b.example:81', { corsOrigins: ['https://a.example', 'http://b.example:81'] }],
  ],
  SWEEP_INTERVAL: [
    ['off', { sweepInterval: null }],
    ['7d', { sweepInterval: 7 * 86_400_000 }],
  ],
  SWEEP_GRACE: [
    ['0s', { sweepGrace: 0 }],
    ['30m', { sweepGrace: 1_800_000 }],
  ],
  FIXITY_PERIOD: [
    ['off', { fixityPeriod: null }],
    ['90d', { fixityPeriod: 7_776_000_000 }],
  ],
  FIXITY_RATE: [
    ['500kB/s', { fixityRate: 500_000 }],
    ['1GB/s', { fixityRate: 1_000_000_000 }],
  ],
  WEBHOOK_ALLOW: [
    ['hub.internal', { webhookAllow: [{ host: 'hub.internal', network: null }] }],
    [
      '*.Corp, ::1',
      {
        webhookAllow: [
          { host: '.corp', network: null },
          { host: null, network: { base: 1n, bits: 128 } },
        ],
      },
    ],
  ],
  LOG_LEVEL: [
    ['trace', { logLevel: 'trace' }],
    ['silent', { logLevel: 'silent' }],
  ],
};

/** Good values of a backend that is not asked for: taken alone, bytes would silently go somewhere else. */
const ONLY_WITH_BUCKET: Record<string, string> = {
  S3_ENDPOINT: 'https://s3.example',
  S3_PUBLIC_ENDPOINT: 'https://s3.example',
  S3_REGION: 'eu-central-1',
  S3_PREFIX: 'artifacts/',
  S3_FORCE_PATH_STYLE: 'false',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'secret',
  S3_UPLOAD_ACCESS_KEY_ID: 'key',
  S3_UPLOAD_SECRET_ACCESS_KEY: 'secret',
  S3_VERIFY: 'read',
  S3_OBJECT_LOCK: 'governance',
};

const BAD: Record<string, string[]> = {
  PORT: ['65536', '-1', '80.5', 'http', '0x50', '1e3', ' '],
  PUBLIC_URL: [
    'store.example',
    'ftp://store.example',
    '/store',
    'http://me:pass@store.example',
    'http://x.example/?a=b',
  ],
  S3_ENDPOINT: ['s3.example', 'ftp://s3.example'],
  S3_PUBLIC_ENDPOINT: ['s3.example'],
  S3_BUCKET: ['ab', 'Evidence', 'with blank'],
  S3_PREFIX: ['../up', 'a//b', 'ä'],
  DATABASE_URL: ['sqlite:///elsewhere', 'x'],
  S3_FORCE_PATH_STYLE: ['yes', '1', 'TRUE'],
  S3_VERIFY: ['write', 'AUTO'],
  S3_OBJECT_LOCK: ['on', 'GOVERNANCE', 'true'],
  SIGNING_KEY: ['k'.repeat(31)],
  ADMIN_TOKEN: ['t'.repeat(15), `${'t'.repeat(15)}\n`, 'with blanks in between', 'a-tökén-that-no-header-carries'],
  S3_ACCESS_KEY_ID: ['two words'],
  S3_SECRET_ACCESS_KEY: ['two\nlines'],
  S3_UPLOAD_ACCESS_KEY_ID: ['two words'],
  S3_UPLOAD_SECRET_ACCESS_KEY: ['ümlaut'],
  TIMESTAMP_URL: ['tsa.test', 'ftp://tsa.test', 'http://me:pass@tsa.test/', 'http://tsa.test/#there'],
  CORS_ORIGINS: ['*', 'board.example', 'https://board.example/path', 'https://ok.example,nonsense'],
  SWEEP_INTERVAL: ['on', '0s', '59s', '24', '1 d'],
  SWEEP_GRACE: ['off', '24', '-1h', '1w', '1.5h'],
  FIXITY_PERIOD: ['0s', '59s', 'monthly', '30'],
  FIXITY_RATE: ['20', '20MB', '0MB/s', 'fast', '-1MB/s'],
  WEBHOOK_ALLOW: ['http://hub.internal', '10.0.0.0/33', 'hub/x', 'a, b?'],
  LOG_LEVEL: ['loud', 'INFO'],
};

/** Any text is good, as far as the configuration can tell; or they stop the start, as tested below. */
const NEVER_BAD = ['ATTESTATION_KEY', 'HOST', 'DATA_DIR', 'OIDC_RULES', 'LIMITS', 'RETENTION_CLASSES', 'S3_REGION'];

test('every variable is in the tables of this test, and is described', (t) => {
  const names = Object.keys(VARIABLES).toSorted();
  // What is in files has tests of its own below.
  const files = SECRETS.map((name) => `${name}_FILE`);
  t.deepEqual([...Object.keys(GOOD), ...Object.keys(ONLY_WITH_BUCKET), ...files].toSorted(), names);
  t.deepEqual([...Object.keys(BAD), ...NEVER_BAD, ...files].toSorted(), names);
  for (const [name, schema] of Object.entries(VARIABLES)) t.truthy(schema.description, name);
});

for (const [name, cases] of Object.entries(GOOD)) {
  test(`${name} takes good values, and changes nothing else`, (t) => {
    for (const [value, expected] of cases) t.deepEqual({ ...load({ [name]: value }) }, { ...DEFAULTS, ...expected });
  });
}

for (const [name, value] of Object.entries(ONLY_WITH_BUCKET)) {
  test(`${name} without a bucket stops the start: nothing falls back silently`, (t) => {
    const error = t.throws(() => load({ [name]: value }), { instanceOf: ConfigError });
    t.regex(error.message, new RegExp(`^${PREFIX}${name} is set, but ${PREFIX}S3_BUCKET is not`));
    t.false(error.message.includes(` ${value}`));
  });
}

for (const [name, values] of Object.entries(BAD)) {
  test(`a bad ${name} stops the start with one message that names it`, (t) => {
    for (const value of values) {
      const error = t.throws(() => load({ [name]: value }), { instanceOf: ConfigError }, JSON.stringify(value));
      t.regex(error.message, new RegExp(`^${PREFIX}${name} `), JSON.stringify(value));
      t.false(error.message.includes('\n'));
      if (/TOKEN|KEY/.test(name)) t.false(error.message.includes(value), 'secrets stay secret');
    }
  });
}

test('a variable that nobody knows stops the start', (t) => {
  for (const name of ['PROT', 'S3_BUKET', 'HOSTS', 'TESTING', 'URLS', '']) {
    const error = t.throws(() => load({ [name]: 'x' }), { instanceOf: ConfigError });
    t.true(error.message.includes(PREFIX + name), error.message);
  }
  t.throws(() => load({ PROT: '' }), { instanceOf: ConfigError }, 'even when it is empty');
  t.throws(() => load({ constructor: 'x', toString: 'x' }), { instanceOf: ConfigError }, 'no name of every object');
});

test("the client's variables and those of tests are known and ignored", (t) => {
  t.deepEqual({ ...load({ URL: 'nonsense', TOKEN: 'x', TEST_SEED: '1', TEST_: '' }) }, DEFAULTS);
});

test('one message names everything that is wrong', (t) => {
  const error = t.throws(() => load({ PORT: 'x', PROT: '1', LOG_LEVEL: 'loud', ADMIN_TOKEN: 'short', HOST: 'fine' }), {
    instanceOf: ConfigError,
  });
  for (const name of ['PORT', 'PROT', 'LOG_LEVEL', 'ADMIN_TOKEN']) t.true(error.message.includes(PREFIX + name), name);
  t.false(error.message.includes(`${PREFIX}HOST`));
  t.false(error.message.includes('\n'));
});

test('with a bucket every S3 variable counts, and a key has both halves', (t) => {
  const full = load({ S3_BUCKET: 'evidence', ...ONLY_WITH_BUCKET });
  t.deepEqual(full.s3, {
    bucket: 'evidence',
    endpoint: 'https://s3.example',
    publicEndpoint: 'https://s3.example',
    region: 'eu-central-1',
    prefix: 'artifacts/',
    forcePathStyle: false,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    uploadCredentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    verify: 'read',
    objectLock: 'governance',
    proxies: {},
  });
  for (const name of ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'S3_UPLOAD_ACCESS_KEY_ID']) {
    const error = t.throws(() => load({ S3_BUCKET: 'evidence', [name]: 'half' }), { instanceOf: ConfigError });
    t.regex(error.message, new RegExp(`^${PREFIX}${name} is set, but`));
  }
});

test('each secret may stand in a file, without the line break at its end', async (t) => {
  const folder = await tempFolder(t);
  const values: Record<(typeof SECRETS)[number], string> = {
    DATABASE_URL: 'postgres://store:secret@db/store',
    S3_SECRET_ACCESS_KEY: 's3-secret',
    S3_UPLOAD_SECRET_ACCESS_KEY: 'upload-secret',
    SIGNING_KEY: 'k'.repeat(32),
    ADMIN_TOKEN: 't'.repeat(16),
  };
  const beside = { S3_BUCKET: 'evidence', S3_ACCESS_KEY_ID: 'a', S3_UPLOAD_ACCESS_KEY_ID: 'b' };
  const files = SECRETS.map((name) => [`${name}_FILE`, join(folder, name)] as const);
  for (const [index, [, file]] of files.entries()) {
    await writeFile(file, `${Object.values(values)[index]}${['\n', '\r\n', ''][index % 3]}`);
  }
  t.deepEqual(load({ ...beside, ...Object.fromEntries(files) }), load({ ...beside, ...values }));
});

test('a file of a secret that is not there, is empty, or stands beside its variable stops the start', async (t) => {
  const file = join(await tempFolder(t), 'token');
  const why = (env: Record<string, string>) => t.throws(() => load(env), { instanceOf: ConfigError }).message;
  t.regex(why({ ADMIN_TOKEN_FILE: file }), /^ARTIFACT_STORE_ADMIN_TOKEN_FILE cannot be read \(ENOENT: .*token'\)\.$/);
  await writeFile(file, '\n');
  t.is(why({ ADMIN_TOKEN_FILE: file }), `ARTIFACT_STORE_ADMIN_TOKEN_FILE: ${file} is empty.`);
  await writeFile(file, 'a-token-that-no-message-has\n');
  const both = why({ ADMIN_TOKEN_FILE: file, ADMIN_TOKEN: 'a-token-that-no-message-has' });
  t.is(both, 'ARTIFACT_STORE_ADMIN_TOKEN and ARTIFACT_STORE_ADMIN_TOKEN_FILE are both set: unset one of them.');
  t.regex(why({ S3_SECRET_ACCESS_KEY_FILE: file }), /S3_SECRET_ACCESS_KEY_FILE is set, but .*S3_BUCKET is not/);
  await writeFile(file, 'short');
  const short = why({ ADMIN_TOKEN_FILE: file });
  t.is(short, 'ARTIFACT_STORE_ADMIN_TOKEN must have at least 16 characters.');
});

test('the configuration is frozen', (t) => {
  const config = load({ CORS_ORIGINS: 'https://a.example' });
  t.true(Object.isFrozen(config));
  t.throws(() => Object.assign(config, { port: 1 }), { instanceOf: TypeError });
});

test('the file of retention classes changes the built-in ones and adds to them', (t) => {
  const classes = parseRetentionClasses('{"transient": 3, "summary-evidence": null, "legal-2": 0}', 'f.json');
  t.deepEqual(classes, { ...DEFAULT_RETENTION_CLASSES, transient: 3, 'summary-evidence': null, 'legal-2': 0 });
  t.deepEqual(parseRetentionClasses('{}', 'f.json'), DEFAULT_RETENTION_CLASSES);
});

test('a retention class may have rules for some of its files', (t) => {
  const runs = { days: 365, files: [{ path: 'raw/**', days: 30 }] };
  t.deepEqual(parseRetentionClasses(JSON.stringify({ runs }), 'f.json').runs, runs);
  t.deepEqual(parseRetentionClasses('{"x": {"days": null}}', 'f.json').x, { days: null, files: [] });
});

const BAD_CLASSES: Array<[string, string, RegExp]> = [
  ['no JSON', '{transient: 3}', /is not JSON/],
  ['nothing', '', /is not JSON/],
  ['no object', '["transient"]', /must map/],
  ['null', 'null', /must map/],
  ['negative days', '{"transient": -1}', /transient/],
  ['half days', '{"transient": 0.5}', /transient/],
  ['days as text', '{"transient": "3"}', /transient/],
  ['more than a century', '{"transient": 36501}', /transient/],
  ['a rule without days', '{"runs": {"days": 3, "files": [{"path": "raw/**"}]}}', /runs/],
  [
    'a glob that is none',
    '{"runs": {"days": 3, "files": [{"path": "+(a)", "days": 1}]}}',
    /runs has the file rule "\+\(a\)"/,
  ],
  ['an unknown field', '{"runs": {"days": 3, "file": []}}', /runs/],
  ['a name in capitals', '{"Transient": 3}', /Transient/],
  ['an empty name', '{"": 3}', /must map/],
  ['a name that is too long', `{"${'x'.repeat(65)}": 3}`, /xxx/],
];
for (const [what, text, why] of BAD_CLASSES) {
  test(`retention classes with ${what} are refused, naming variable, file and place`, (t) => {
    const error = t.throws(() => parseRetentionClasses(text, '/etc/classes.json'), { instanceOf: ConfigError });
    t.regex(error.message, /^ARTIFACT_STORE_RETENTION_CLASSES: \/etc\/classes\.json /);
    t.regex(error.message, why);
  });
}

test('the start stops when the file of retention classes is not there or wrong, and leaves no data folder', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'classes.json');
  const start = () =>
    startService(load({ PORT: '0', DATA_DIR: join(folder, 'data'), RETENTION_CLASSES: file, LOG_LEVEL: 'silent' }));
  const absent = await t.throwsAsync(start(), { instanceOf: ConfigError });
  t.regex(absent?.message ?? '', /ARTIFACT_STORE_RETENTION_CLASSES: .*classes\.json cannot be read/);
  await writeFile(file, '{"transient": "soon"}');
  const wrong = await t.throwsAsync(start(), { instanceOf: ConfigError });
  t.regex(wrong?.message ?? '', /transient/);
  t.deepEqual(await readdir(folder), ['classes.json']);
  await writeFile(file, '{"transient": 1}');
  await (await start()).stop();
});

test('the start stops when the file of identity rules is not there or wrong, and leaves no data folder', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'identities.json');
  const start = () =>
    startService(load({ PORT: '0', DATA_DIR: join(folder, 'data'), OIDC_RULES: file, LOG_LEVEL: 'silent' }));
  const absent = await t.throwsAsync(start(), { instanceOf: ConfigError });
  t.regex(absent?.message ?? '', /^ARTIFACT_STORE_OIDC_RULES: .*identities\.json cannot be read/);
  const issuer = { name: 'ci', issuer: 'https://ci.example', platform: 'other', audience: 'x' };
  const rule = { name: 'nightly', claims: { sub: 'a*' }, producers: ['p'], scopes: ['packages:read'] };
  await writeFile(file, JSON.stringify({ issuers: [{ ...issuer, rules: [rule] }] }));
  const wrong = await t.throwsAsync(start(), { instanceOf: ConfigError });
  t.regex(wrong?.message ?? '', /identities\.json is wrong: issuer "ci", rule "nightly": claims\.sub is compared as/);
  t.deepEqual(await readdir(folder), ['identities.json']);
  await writeFile(file, JSON.stringify({ issuers: [{ ...issuer, rules: [{ ...rule, claims: { sub: 'a' } }] }] }));
  await (await start()).stop();
});

test('a host that other machines can reach needs a token', async (t) => {
  const folder = await tempFolder(t);
  for (const host of ['0.0.0.0', '::', 'store.example', '192.0.2.1']) {
    const error = await t.throwsAsync(startService(load({ HOST: host, PORT: '0', DATA_DIR: folder })), {
      instanceOf: ConfigError,
    });
    t.regex(error?.message ?? '', /ARTIFACT_STORE_HOST .*ARTIFACT_STORE_ADMIN_TOKEN/);
  }
});
