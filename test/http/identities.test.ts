import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { IssuerTimes } from '../../src/oidc/issuer-keys.ts';
import { apiOf } from '../support/api.ts';
import { ADMIN_TOKEN, NIGHTLY, startIdentityService, writeRules } from '../support/identities.ts';
import { JOB, now, rsaKey, startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startTestService } from '../support/service.ts';

/** JWTs of CI jobs, at the running service, with an issuer that is a real server. */

async function place(
  t: ExecutionContext,
  { rules = {}, times }: { rules?: object; times?: Partial<IssuerTimes> } = {},
) {
  const issuer = await startIssuer();
  t.teardown(() => issuer.stop());
  const service = await startIdentityService(t, await writeRules(t, issuer, rules), times);
  const ask = (token: string) => apiOf(service.url, token).get('/v1/packages');
  return { issuer, service, ask };
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A JWT made by hand, as no library would. */
function forge(header: object, payload: object, signature: (input: string) => Buffer): string {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${signature(input).toString('base64url')}`;
}

const rs256 = (key: KeyObject) => (input: string) => sign('sha256', Buffer.from(input), key);
const hs256 = (secret: string | Buffer) => (input: string) => createHmac('sha256', secret).update(input).digest();

function goodClaims({ url, audience }: TestIssuer): Record<string, unknown> {
  return { iss: url, aud: audience, iat: now(), nbf: now(), exp: now() + 300, ...JOB };
}

test('a job may do what its rule says, and stands in the audit by project, ref and run', async (t) => {
  const { issuer, service } = await place(t);
  const job = apiOf(service.url, await issuer.token());
  const id = await job.preserve({ 'a.txt': 'abc' }, { producer: 'nightly-build' });
  t.is((await job.get(`/v1/packages/${id}`)).body.status, 'finalized');
  const others = await job.post('/v1/packages', { name: 'x', producer: 'somebody-else' });
  t.is(others.status, 403, JSON.stringify(others.body));
  for (const path of ['/v1/operations/sweeps', `/v1/packages/${id}/holds`]) {
    t.is(
      (await job.post(path, { reason: 'r' })).body.code,
      'forbidden',
      `${path} needs a scope that the rule does not give`,
    );
  }
  const admin = apiOf(service.url, ADMIN_TOKEN);
  const theirs = await admin.create({ producer: 'somebody-else' });
  t.is((await job.get(`/v1/packages/${theirs}`)).status, 404, 'a package of another producer does not exist for it');
  const events = (await admin.get(`/v1/audit?package_id=${id}`)).body.items as Array<{ actor: string }>;
  t.deepEqual([...new Set(events.map(({ actor }) => actor))], ['github:74/refs/heads/main/run/1658821493.1']);
  t.is((await apiOf(service.url).get('/v1/packages')).status, 401, 'without a token');
  t.like((await apiOf(service.url, 'no-jwt').get('/v1/packages')).body, { code: 'unauthenticated' });
});

test('tokens that are refused are counted by the address that they come from, whatever is wrong with them', async (t) => {
  const issuer = await startIssuer();
  t.teardown(() => issuer.stop());
  const env = { ARTIFACT_STORE_OIDC_RULES: await writeRules(t, issuer) };
  const service = await startTestService({ env, bounds: { addressRequests: 1 } });
  t.teardown(() => service.dispose());
  const codes = new Set<string>();
  for (let tries = 0; tries < 60 && !codes.has('too_many_requests'); tries += 1) {
    const token = await issuer.token(tries % 2 === 0 ? { exp: 1 } : { aud: 'https://other.example' });
    codes.add((await apiOf(service.url, token).get('/v1/packages')).body.code);
  }
  t.deepEqual([...codes], ['identity_expired', 'identity_audience', 'too_many_requests']);
});

test('with a file of rules, and no admin token, nobody comes in without a JWT', async (t) => {
  const issuer = await startIssuer();
  t.teardown(() => issuer.stop());
  const service = await startTestService({ env: { ARTIFACT_STORE_OIDC_RULES: await writeRules(t, issuer) } });
  t.teardown(() => service.dispose());
  t.is((await apiOf(service.url).get('/v1/packages')).body.code, 'unauthenticated');
  t.is((await apiOf(service.url, await issuer.token({ exp: 1 })).get('/v1/packages')).body.code, 'identity_expired');
  t.is((await apiOf(service.url, await issuer.token()).get('/v1/packages')).status, 200);
});

interface Attack {
  token: (issuer: TestIssuer) => string | Promise<string>;
  code?: string;
  /** What the log says. */
  reason: RegExp;
}

const other = rsaKey('other');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = ({ published: [key] }: TestIssuer): string =>
  createPublicKey(key?.privateKey as KeyObject).export({ type: 'spki', format: 'pem' }) as string;
const kidOf = ({ published: [key] }: TestIssuer): string => key?.kid as string;
/** Signed by a key that only the attacker has. */
const withHeader = (header: (issuer: TestIssuer) => object) => (issuer: TestIssuer) =>
  forge({ alg: 'RS256', ...header(issuer) }, goodClaims(issuer), rs256(other.privateKey));
const withClaims = (claims: (issuer: TestIssuer) => Record<string, unknown>) => (issuer: TestIssuer) =>
  issuer.token(claims(issuer));

/** Where a token wants its own key to be taken from. */
const trap = { url: '', asked: [] as string[] };
const trapServer = createServer((request, response) => {
  trap.asked.push(request.url ?? '');
  response.end(JSON.stringify({ keys: [{ ...other.publicKey.export({ format: 'jwk' }), kid: 'other' }] }));
});
test.before(async () => {
  await new Promise<void>((resolve) => trapServer.listen(0, '127.0.0.1', resolve));
  trap.url = `http://127.0.0.1:${(trapServer.address() as AddressInfo).port}`;
});
test.after.always(() => trapServer.close());

const ATTACKS: Record<string, Attack> = {
  'alg none': {
    token: (issuer) => forge({ alg: 'none' }, goodClaims(issuer), () => Buffer.alloc(0)),
    reason: /alg/i,
  },
  'alg None, as some libraries took it': {
    token: (issuer) => forge({ alg: 'None' }, goodClaims(issuer), () => Buffer.alloc(0)),
    reason: /alg/i,
  },
  'HS256 with the public key as PEM': {
    token: (issuer) => forge({ alg: 'HS256', kid: kidOf(issuer) }, goodClaims(issuer), hs256(pemOf(issuer))),
    reason: /alg/i,
  },
  'HS256 with the public key as DER': {
    token: (issuer) => {
      const der = createPublicKey(pemOf(issuer)).export({ type: 'spki', format: 'der' });
      return forge({ alg: 'HS256', kid: kidOf(issuer) }, goodClaims(issuer), hs256(der));
    },
    reason: /alg/i,
  },
  'HS256 with an empty secret': {
    token: (issuer) => forge({ alg: 'HS256', kid: kidOf(issuer) }, goodClaims(issuer), hs256('')),
    reason: /alg/i,
  },
  'an algorithm that is not pinned, by the right key': {
    token: (issuer) => issuer.token({}, { alg: 'RS384' }),
    reason: /alg/i,
  },
  'ES256 by a key of the attacker': {
    token: (issuer) => {
      const by = (input: string) =>
        sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
      return forge({ alg: 'ES256', kid: kidOf(issuer) }, goodClaims(issuer), by);
    },
    reason: /alg/i,
  },
  'no signature': {
    token: async (issuer) => (await issuer.token()).replace(/[^.]+$/, ''),
    reason: /signature/i,
  },
  'another payload under a good signature': {
    token: async (issuer) => {
      const [head, , signature] = (await issuer.token({ ref: 'refs/heads/evil' })).split('.');
      return `${head}.${part(goodClaims(issuer))}.${signature}`;
    },
    reason: /signature/i,
  },
  "another key under the issuer's kid": {
    token: withHeader((issuer) => ({ kid: kidOf(issuer) })),
    reason: /signature/i,
  },
  'another key without a kid': { token: withHeader(() => ({})), reason: /signature/i },
  'a kid that nobody published': { token: withHeader(() => ({ kid: 'other' })), reason: /no applicable key/i },
  'a kid that is a path': { token: withHeader(() => ({ kid: '../../../../dev/null' })), reason: /no applicable key/i },
  'a kid that is a URL': { token: withHeader(() => ({ kid: `${trap.url}/keys` })), reason: /no applicable key/i },
  'a kid that is SQL': { token: withHeader(() => ({ kid: "x' UNION SELECT 'k" })), reason: /no applicable key/i },
  'a kid that is what objects have': { token: withHeader(() => ({ kid: '__proto__' })), reason: /no applicable key/i },
  'a kid that is no text': { token: withHeader(() => ({ kid: { $ne: null } })), reason: /kid|no applicable key/i },
  'a kid of 8 kB': { token: withHeader(() => ({ kid: 'k'.repeat(8_000) })), reason: /no applicable key/i },
  'a key in the header': {
    token: withHeader(() => ({ jwk: other.publicKey.export({ format: 'jwk' }), kid: 'other' })),
    reason: /no applicable key/i,
  },
  'keys at an address in the header': {
    token: withHeader(() => ({ jku: `${trap.url}/jku`, x5u: `${trap.url}/x5u`, kid: 'other' })),
    reason: /no applicable key/i,
  },
  'a critical extension that nobody knows': {
    token: withHeader((issuer) => ({ kid: kidOf(issuer), crit: ['exp'], exp: 1 })),
    reason: /extension|crit/i,
  },
  'an issuer that is not trusted': { token: withClaims(() => ({ iss: trap.url })), reason: /is not trusted/ },
  "the issuer's URL with a slash": { token: withClaims(({ url }) => ({ iss: `${url}/` })), reason: /is not trusted/ },
  'no issuer': { token: withClaims(() => ({ iss: undefined })), reason: /names no issuer/ },
  'an issuer that is no text': { token: withClaims(({ url }) => ({ iss: [url] })), reason: /is not trusted|names no/ },
  'the audience of another service': {
    token: withClaims(() => ({ aud: 'https://other.example' })),
    code: 'identity_audience',
    reason: /audience is "https:\/\/other\.example", not "https:\/\/store\.example"/,
  },
  'an audience that begins like ours': {
    token: withClaims(({ audience }) => ({ aud: `${audience}.evil.example` })),
    code: 'identity_audience',
    reason: /audience is/,
  },
  'our audience beside another': {
    token: withClaims(({ audience }) => ({ aud: [audience, 'https://other.example'] })),
    code: 'identity_audience',
    reason: /audience is \["https:\/\/store\.example","https:\/\/other/,
  },
  'no audience': {
    token: withClaims(() => ({ aud: undefined })),
    code: 'identity_audience',
    reason: /audience is missing/,
  },
  'an expired token': {
    token: withClaims(() => ({ exp: now() - 120 })),
    code: 'identity_expired',
    reason: /it expired at 20\d\d-/,
  },
  'a token that never expires': {
    token: withClaims(() => ({ exp: undefined })),
    reason: /its exp is missing or wrong/,
  },
  'an exp that is no number': {
    token: withClaims(() => ({ exp: '9999999999' })),
    reason: /its exp is missing or wrong/,
  },
  'a token of tomorrow': { token: withClaims(() => ({ nbf: now() + 86_400 })), reason: /not good before 20\d\d-/ },
  'another repository of the same name': {
    token: withClaims(() => ({ repository_id: '75' })),
    code: 'identity_unmatched',
    reason: /no rule matches/,
  },
  'another branch': {
    token: withClaims(() => ({ ref: 'refs/heads/main2' })),
    code: 'identity_unmatched',
    reason: /no rule matches/,
  },
  'a pull request': {
    token: withClaims(() => ({ ref: 'refs/pull/7/merge', event_name: 'pull_request' })),
    code: 'identity_unmatched',
    reason: /no rule matches/,
  },
  'an id that is a list': {
    token: withClaims(() => ({ repository_id: { id: '74' } })),
    code: 'identity_unmatched',
    reason: /no rule matches/,
  },
};

test('no forged, stolen or stale token is accepted, and the log says why', async (t) => {
  const { issuer, service, ask } = await place(t);
  const good = await issuer.token();
  t.is((await ask(good)).status, 200);
  for (const [what, { token, code = 'identity_invalid', reason }] of Object.entries(ATTACKS)) {
    const sent = await token(issuer);
    const before = service.logged.length;
    const answer = await ask(sent);
    t.is(answer.status, 401, `${what}: ${JSON.stringify(answer.body)}`);
    t.is(answer.body.code, code, what);
    t.is(answer.headers.get('www-authenticate'), 'Bearer');
    const told = service.logged.slice(before).filter(({ message }) => message === 'a JWT was refused');
    t.is(told.length, 1, what);
    t.is(told[0]?.code, code, what);
    t.regex(String(told[0]?.reason), reason, what);
  }
  const says = JSON.stringify(service.logged);
  t.false(says.includes(good.split('.')[2] as string), 'no signature is logged');
  t.deepEqual(trap.asked, [], 'nobody asked where a token wanted its key to be taken from');
  t.deepEqual(issuer.asked, ['discovery', 'keys'], 'all that asked for keys once');
  t.is((await ask(good)).status, 200);
  const unmatched = service.logged.findLast(({ code }) => code === 'identity_unmatched');
  t.deepEqual(unmatched?.rules, [{ rule: NIGHTLY.name, unmet: 'repository_id is not in the token, not "74"' }]);
});

test('what an answer says of a token that nobody trusted signed is always the same', async (t) => {
  const { issuer, ask } = await place(t);
  const details = new Set<string>();
  for (const what of ['alg none', "another key under the issuer's kid", 'a kid that nobody published', 'no issuer']) {
    details.add((await ask((await ATTACKS[what]?.token(issuer)) as string)).body.detail);
  }
  t.is(details.size, 1);
});

test('clocks may differ by seconds', async (t) => {
  const { issuer, ask } = await place(t);
  t.is((await ask(await issuer.token({ exp: now() - 5 }))).status, 200);
  t.is((await ask(await issuer.token({ nbf: now() + 5, iat: now() + 5 }))).status, 200);
});

test('keys are asked for once, whatever number of tokens come at once, and unknown keys ask for no more', async (t) => {
  const { issuer, ask } = await place(t);
  const token = await issuer.token();
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(token)));
  t.true(answers.every(({ status }) => status === 200));
  const strange = await issuer.token({}, { key: other });
  for (let nth = 0; nth < 5; nth += 1) t.is((await ask(strange)).status, 401);
  t.deepEqual(issuer.asked, ['discovery', 'keys']);
});

test('a key that was rotated is found, and the old one is good no longer', async (t) => {
  const { issuer, ask } = await place(t, { times: { cooldown: 0 } });
  const old = await issuer.token();
  t.is((await ask(old)).status, 200);
  issuer.rotate();
  t.is((await ask(await issuer.token())).status, 200);
  t.is((await ask(old)).body.code, 'identity_invalid');
  const both = rsaKey();
  issuer.published.push(both);
  t.is((await ask(await issuer.token())).status, 200, 'two keys at a time, as while rotating');
});

test('other algorithms are accepted where the file says so, and only those', async (t) => {
  const { issuer, ask } = await place(t, { rules: { algorithms: ['RS384'] } });
  issuer.answers.keys = (response) => {
    const [key] = issuer.published;
    response.end(
      JSON.stringify({ keys: [{ ...key?.publicKey.export({ format: 'jwk' }), kid: key?.kid, use: 'sig' }] }),
    );
  };
  t.is((await ask(await issuer.token({}, { alg: 'RS384' }))).status, 200);
  t.is((await ask(await issuer.token())).body.code, 'identity_invalid');
});

test('an issuer that is down: the service starts, says so, and goes on when it is back', async (t) => {
  const issuer = await startIssuer();
  t.teardown(() => issuer.stop());
  await issuer.stop();
  const service = await startIdentityService(t, await writeRules(t, issuer), { pause: 0 });
  const ask = async () => apiOf(service.url, await issuer.token()).get('/v1/packages');
  const answer = await ask();
  t.is(answer.status, 503);
  t.is(answer.body.code, 'issuer_unavailable');
  t.truthy(answer.headers.get('retry-after'));
  t.false(JSON.stringify(answer.body).includes(String(issuer.port)), 'where it is is for the log');
  const told = service.logged.find(({ message }) => message === 'the keys of an issuer cannot be had');
  t.regex(String(told?.reason), /openid-configuration cannot be reached \(.*ECONNREFUSED/);
  t.is((await apiOf(service.url, ADMIN_TOKEN).get('/v1/packages')).status, 200, 'nobody else is concerned');
  await issuer.start();
  t.is((await ask()).status, 200);
});

test('an issuer that failed is left alone for a while', async (t) => {
  const { issuer, ask } = await place(t, { times: { pause: Number.POSITIVE_INFINITY } });
  issuer.answers.discovery = (response) => response.writeHead(500).end();
  const token = await issuer.token();
  for (let nth = 0; nth < 5; nth += 1) t.is((await ask(token)).body.code, 'issuer_unavailable');
  t.deepEqual(issuer.asked, ['discovery']);
});

test('while an issuer is down its last keys are good, but for an hour only', async (t) => {
  for (const [stale, status] of [
    [Number.POSITIVE_INFINITY, 200],
    [0, 503],
  ] as const) {
    const { issuer, ask } = await place(t, { times: { maxAge: 0, pause: 0, stale } });
    const token = await issuer.token();
    t.is((await ask(token)).status, 200);
    await issuer.stop();
    t.is((await ask(token)).status, status, `stale: ${stale}`);
    // It may have been published since.
    t.is((await ask(await issuer.token({}, { key: other }))).body.code, 'issuer_unavailable');
    await issuer.start();
    t.is((await ask(token)).status, 200);
  }
});

const json = (value: unknown) => JSON.stringify(value);

/** How an issuer answers, and what the log says of it. */
const BAD_ANSWERS: Record<string, { answers: (issuer: TestIssuer) => TestIssuer['answers']; says: RegExp }> = {
  'half of it, and then the end': {
    answers: () => ({
      keys: (response) => {
        response.write('{"keys": [');
        setImmediate(() => response.destroy());
      },
    }),
    says: /\/keys cannot be reached/,
  },
  'without an end': {
    answers: () => ({
      keys: (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(' '.repeat(65_536)));
        };
        response.on('drain', more);
        more();
      },
    }),
    says: /\/keys answered with more than 262144 bytes/,
  },
  'with an error': {
    answers: () => ({ keys: (response) => response.writeHead(500).end() }),
    says: /\/keys answered 500/,
  },
  'with a redirect': {
    answers: () => ({ keys: (response) => response.writeHead(302, { location: `${trap.url}/elsewhere` }).end() }),
    says: /\/keys answered 302/,
  },
  'a discovery with a redirect': {
    answers: () => ({ discovery: (response) => response.writeHead(301, { location: `${trap.url}/d` }).end() }),
    says: /openid-configuration answered 301/,
  },
  'with a page for people': {
    answers: () => ({
      discovery: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    }),
    says: /not JSON/,
  },
  'with nothing': { answers: () => ({ keys: (response) => response.end() }), says: /\/keys answered with .* not JSON/ },
  'with null': { answers: () => ({ discovery: (response) => response.end('null') }), says: /is of another issuer/ },
  'as another issuer': {
    answers: ({ url }) => ({
      discovery: (response) => response.end(json({ issuer: trap.url, jwks_uri: `${url}/keys` })),
    }),
    says: /is of another issuer/,
  },
  'without keys': {
    answers: ({ url }) => ({ discovery: (response) => response.end(json({ issuer: url })) }),
    says: /names no jwks_uri/,
  },
  'with keys over http elsewhere': {
    answers: ({ url }) => ({
      discovery: (response) => response.end(json({ issuer: url, jwks_uri: 'http://keys.example/' })),
    }),
    says: /http:\/\/keys\.example\/ is no https/,
  },
  'with keys in a file': {
    answers: ({ url }) => ({
      discovery: (response) => response.end(json({ issuer: url, jwks_uri: 'file:///etc/passwd' })),
    }),
    says: /is no https/,
  },
  'with keys where clouds have credentials': {
    answers: ({ url }) => ({
      discovery: (response) => response.end(json({ issuer: url, jwks_uri: 'https://169.254.169.254/' })),
    }),
    says: /is no https/,
  },
  'with keys that are no set': {
    answers: () => ({ keys: (response) => response.end('[]') }),
    says: /is no JSON Web Key Set/,
  },
  'with a set of something else': {
    answers: () => ({ keys: (response) => response.end('{"keys": [1]}') }),
    says: /cannot be used/,
  },
};

/** It asks for keys each time, and keeps none. */
const FORGETFUL = { pause: 0, maxAge: 0, stale: 0 };

test('of an issuer that answers badly the keys cannot be had, until it answers well', async (t) => {
  const { issuer, service, ask } = await place(t, { times: FORGETFUL });
  const token = await issuer.token();
  for (const [what, { answers, says }] of Object.entries(BAD_ANSWERS)) {
    issuer.answers = answers(issuer);
    const answer = await ask(token);
    t.is(answer.status, 503, `${what}: ${JSON.stringify(answer.body)}`);
    t.is(answer.body.code, 'issuer_unavailable', what);
    t.regex(String(service.logged.findLast(({ message }) => message === 'a JWT was refused')?.reason), says, what);
    issuer.answers = {};
    t.is((await ask(token)).status, 200, what);
  }
  t.deepEqual(trap.asked, [], 'nobody follows a redirect');
});

test('an issuer that does not answer is not waited for', async (t) => {
  const { issuer, service, ask } = await place(t, { times: { ...FORGETFUL, timeout: 50 } });
  const token = await issuer.token();
  const silent: Array<TestIssuer['answers']> = [
    { discovery: () => {} },
    { keys: () => {} },
    { keys: (response) => response.write('{"keys": [') },
  ];
  for (const answers of silent) {
    issuer.answers = answers;
    t.is((await ask(token)).body.code, 'issuer_unavailable');
    const told = service.logged.findLast(({ message }) => message === 'a JWT was refused');
    t.regex(String(told?.reason), /did not answer in time/);
  }
});

test('the media type of keys does not matter', async (t) => {
  const { issuer, ask } = await place(t);
  issuer.answers.keys = (response) => {
    const [key] = issuer.published;
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.end(json({ keys: [{ ...key?.publicKey.export({ format: 'jwk' }), kid: key?.kid }] }));
  };
  t.is((await ask(await issuer.token())).status, 200);
});
