import { hash } from 'node:crypto';
import test from 'ava';
import { secretsIn } from '../support/find-secrets.ts';

/**
 * Every rule through the search for anchors, as a push has it: a rule without its anchors finds nothing here. No secret below
 * is one; each is put together here, so that no scanner of the project's own sources stops at it.
 */
const SECRET = 'Tr0ub4dor-and-3';
const LETTERS = 'Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOp3rSt6vWx9zAb2dEf5hIj8lMn1pQr4tUv7xYz0B'.repeat(4);
const word = (size: number): string => LETTERS.slice(0, size);
const hex = (size: number): string => hash('sha512', 'hex', 'hex').repeat(4).slice(0, size);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const pem = (name: string): string => `-----BEGIN ${name}-----\nMII${word(300)}\n-----END ${name}-----`;
const JWT = [base64url('{"alg":"HS256"}'), base64url('{"sub":"tck"}'), word(43)].join('.');

/** A line, the kind that is found in it, and the secret. */
type Positive = [line: string, kind: string, secret: string];

const SESSION = 'org.apache.chemistry.opencmis';
/** The formats in which the TCK writes its parameters, and Java its maps. */
const PRINTED: Array<(key: string, value: string) => string> = [
  (key, value) => `${key} = ${value}`,
  (key, value) => `    <parameter key="${key}" value="${value}"/>`,
  (key, value) => `    "${key}": "${value}",`,
  (key, value) => `"message": "{\\"${key}\\":\\"${value}\\"}"`,
  (key, value) => `<tr><td>${key}</td><td>${value}</td></tr>`,
  (key, value) => `<tr>\n  <td>${key}</td>\n  <td class="value">${value}</td>\n</tr>`,
  (key, value) => `Session parameters: {${SESSION}.binding.spi.type=browser, ${key}=${value}, ${SESSION}.user=tck}`,
  (key, value) => `POST /token grant_type=client_credentials&${key}=${value}&scope=cmis`,
  (key, value) => `  ${key}: '${value}'`,
];
const NAMED: Array<[key: string, kind: string]> = [
  [`${SESSION}.oauth.clientSecret`, 'oauth-client-secret'],
  ['client_secret', 'oauth-client-secret'],
  [`${SESSION}.oauth.accessToken`, 'oauth-token'],
  [`${SESSION}.oauth.refreshToken`, 'oauth-token'],
  [`${SESSION}.password`, 'password'],
  [`${SESSION}.proxypassword`, 'password'],
  ['javax.net.ssl.keyStorePassword', 'password'],
  ['DB_PASSWD', 'password'],
  ['X-Api-Key', 'api-key'],
  ['signing.secret', 'secret'],
  ['Pwd', 'password'],
  ['AccessKeySecret', 'secret'],
];

const KNOWN: Positive[] = [
  [`> Authorization: Basic ${base64('admin:admin')}`, 'basic-auth', base64('admin:admin')],
  [`authorization=[Basic ${base64(`tck:${SECRET}`)}]`, 'basic-auth', base64(`tck:${SECRET}`)],
  [`> Authorization: Bearer ${word(40)}`, 'bearer-token', word(40)],
  [`//registry.example/:_authToken=${word(36)}`, 'oauth-token', word(36)],
  [`id: ${JWT}.`, 'jwt', JWT],
  [`GET http://admin:${SECRET}@localhost:8080/core/browser`, 'url-password', SECRET],
  [`key AIza${word(35)}`, 'google-api-key', `AIza${word(35)}`],
  [`GOCSPX-${word(28)}`, 'google-client-secret', `GOCSPX-${word(28)}`],
  [`got ya29.${word(60)}`, 'google-token', `ya29.${word(60)}`],
  [`https://x.blob.core.windows.net/a?sv=1&sig=${word(43)}%3D`, 'azure-sas', `${word(43)}%3D`],
  [`AccountName=x;AccountKey=${word(86)}==;EndpointSuffix=y`, 'azure-key', `${word(86)}==`],
  [`dop_v1_${hex(64)}`, 'digitalocean-token', `dop_v1_${hex(64)}`],
];

/** Of the preset: kinds are the names of its rules. */
const PRESET: Array<[line: string, kind: string]> = [
  [`aws_secret_access_key = ${word(40)}`, 'aws'],
  [pem('RSA PRIVATE KEY'), 'privatekey'],
  [`npm_${word(36)}`, 'npm'],
  [`https://tck:${word(20)}@db.example.org/x`, 'basicauth'],
  [`https://${word(40)}:x-oauth-basic@github.com/x`, 'basicauth'],
  [`xoxb-${word(12)}-${word(24)}`, 'slack'],
  [`https://hooks.slack.com/services/T${word(8)}/B${word(8)}/${word(24)}`, 'slack'],
  [`SG.${word(22)}.${word(43)}`, 'sendgrid'],
  [`shpat_${word(32)}`, 'shopify'],
  [`sk_live_${word(24)}`, 'stripe'],
  [`ghp_${word(36)}`, 'github'],
  [`github_pat_${word(82)}`, 'github'],
  [`glpat-${word(20)}`, 'gitlab'],
  [`sk-${word(20)}T3BlbkFJ${word(20)}`, 'openai'],
  [`sk-proj-${word(58)}T3BlbkFJ${word(58)}`, 'openai'],
  [`sk-ant-api03-${word(93)}AA`, 'anthropic'],
  [`gsk_${word(52)}`, 'groq'],
  [`hf_${word(80).replace(/\d/g, '').slice(0, 34)}`, 'huggingface'],
  [`lin_api_${word(40)}`, 'linear'],
  [`ntn_12345678901${word(35)}`, 'notion'],
  [`glc_${word(40)}`, 'grafana'],
  [`glsa_${word(32)}_${hex(8)}`, 'grafana'],
  [
    `ops_${base64(JSON.stringify({ signInAddress: word(50), userAuth: {}, email: 'tck', srpX: '1', muk: {}, secretKey: 'xyz' }))}`,
    '1password',
  ],
  [`postgres://tck:${word(20)}@db:5432/cmis`, 'database-connection-string'],
  [`mongodb+srv://tck:${word(20)}@db.example.org/cmis`, 'database-connection-string'],
  [`jdbc:mysql://tck:${word(20)}@db/cmis`, 'database-connection-string'],
  [`hvs.${word(95)}`, 'hashicorp-vault'],
  [`vcp_${word(24)}`, 'vercel'],
  [`dapi${hex(32)}`, 'databricks'],
  [`dckr_pat_${word(27)}`, 'docker'],
  [`figd_${word(43)}`, 'figma'],
  [`cfut_${word(40)}${hex(8)}`, 'cloudflare'],
  [`tskey-auth-${word(12)}-${word(32)}`, 'tailscale'],
];

const padded = (line: string): Buffer => Buffer.from(`before it\n${line}\nbehind it\n`);

test('the parameters that are secrets are found as text, XML, JSON, HTML and maps print them', async (t) => {
  for (const [key, kind] of NAMED) {
    for (const print of PRINTED) {
      const line = print(key, SECRET);
      const found = await secretsIn(padded(line));
      const at = 1 + padded(line).subarray(0, padded(line).indexOf(SECRET)).toString().split('\n').length - 1;
      t.deepEqual(found, [{ line: at, kind, sha256: hash('sha256', SECRET, 'hex') }], line);
    }
  }
});

test('masks, variables, code, types and plain words are no secrets', async (t) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as configurations write variables
  const values = ['', '****', 'xxxxxx', '••••••', 'null', '${PASSWORD}', '{{ secret }}', '%PASSWORD%', '$SECRET'];
  for (const value of [...values, 'getPassword()', 'props.get(KEY)', 'REDACTED', '[hidden]', 'String', 'true']) {
    for (const [key] of NAMED) {
      for (const print of PRINTED) t.deepEqual(await secretsIn(padded(print(key, value))), [], print(key, value));
    }
  }
  for (const line of [
    'Change Token Test (ATOMPUB)',
    'cmis:changeToken = 1a2b3c4d5e6f7a8b9c0d',
    'latestChangeLogToken: 1779',
    'The password parameter is masked; the client secret is not.',
    '=== BASIC CONNECTION TEST START ===',
    'INFO basic authentication is used',
    'Bearer token authentication: not supported',
    'PWD=/home/tck/run',
    `AKIA${word(16).toUpperCase()} names a key and is none`,
    'at org.apache.Secret.access(Secret.java:7)',
    'mail to tck@example.org, http://example.org/a:b@c',
    'http://example.org:8080/@me',
    `Object@${hex(8)}`,
    'eyJ is how it begins',
    '-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----',
    `dop_v1_${hex(63)}`,
    `AIza${word(20)}`,
    'https://x.blob.core.windows.net/a?sv=1&sig=short',
    `Basic ${base64('no colon in this')}`,
  ]) {
    t.deepEqual(await secretsIn(padded(line)), [], line);
  }
});

test('headers, URLs, tokens and the clouds that the preset lacks are known by their form', async (t) => {
  for (const [line, kind, secret] of KNOWN) {
    t.deepEqual(await secretsIn(padded(line)), [{ line: 2, kind, sha256: hash('sha256', secret, 'hex') }], line);
  }
});

test('each rule of the preset has its anchors', async (t) => {
  for (const [line, kind] of PRESET) {
    const found = await secretsIn(padded(line));
    t.deepEqual(
      found.map((secret) => [secret.line, secret.kind]),
      [[2, kind]],
      line,
    );
  }
});

test('a comment of secretlint in a log hides nothing', async (t) => {
  const found = await secretsIn(Buffer.from(`secretlint-disable\n// secretlint-disable-line\npassword=${SECRET}\n`));
  t.deepEqual(
    found.map(({ line, kind }) => [line, kind]),
    [[3, 'password']],
  );
});
