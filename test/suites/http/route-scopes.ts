import type { ExecutionContext } from 'ava';
import type { PlannedUpload } from '../../../src/api/types.ts';
import { SCOPES, type Scope } from '../../../src/core/scopes.ts';
import type { Route } from '../../../src/http/route.ts';
import type { OperationId } from '../../../src/http/route-scopes.ts';
import { ROUTES } from '../../../src/http/routes/index.ts';
import { type Answer, type Api, apiOf, sha256 } from '../../support/api.ts';
import { withoutIds } from '../../support/comparable.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, makeToken } from '../../support/tokens.ts';

/** A request that is answered well when who sends it may. */
interface Example {
  /** With real ids: all of them of packages of alice, or of nobody's. */
  path: string;
  body?: unknown;
  /** The one that is right for this request, where the route takes one of several. */
  scope?: Scope;
  /** Of `right`; left out: 2xx. */
  status?: number;
}

interface Fixture {
  admin: Api;
  service: TestService;
}

const BYTES = 'evidence of alice';
const FILE = { path: 'f', digest: sha256(BYTES), size: BYTES.length };
const OBJECT = { digest: FILE.digest, size: FILE.size };

/** A package with a registered file, which has not arrived. */
async function made({ admin }: Fixture): Promise<string> {
  const id = await admin.create({ producer: 'alice' });
  await admin.post(`/v1/packages/${id}/files`, { files: [FILE] });
  return `/v1/packages/${id}`;
}

async function finalized({ admin }: Fixture, fields = {}): Promise<string> {
  return `/v1/packages/${await admin.preserve({ f: BYTES }, { producer: 'alice', ...fields })}`;
}

async function planned(fixture: Fixture): Promise<PlannedUpload> {
  const answer = await fixture.admin.post(`${await made(fixture)}/uploads`, { objects: [OBJECT] });
  return answer.body.uploads[0];
}

async function sent(fixture: Fixture): Promise<string> {
  const upload = await planned(fixture);
  for (const part of upload.parts) await fixture.admin.send(part, Buffer.from(BYTES));
  return `/v1/uploads/${upload.upload_id}`;
}

async function started({ admin }: Fixture, path: string): Promise<string> {
  return `${path}/${(await admin.post(path, {})).body.id}`;
}

/** Nobody listens there. */
const HOOK = 'http://127.0.0.1:9/events';

async function hooked({ admin }: Fixture): Promise<string> {
  const { body } = await admin.post('/v1/webhooks', { url: HOOK, producers: ['alice'], types: ['hold.placed'] });
  return `/v1/webhooks/${body.id}`;
}

/** One for each route that needs a bearer: whoever adds a route adds one here, or this does not compile. */
const EXAMPLES: Record<
  Exclude<OperationId, 'getHealth' | 'getReadiness' | 'putPart' | 'getObject'>,
  (fixture: Fixture) => Promise<Example>
> = {
  createPackage: async () => ({ path: '/v1/packages', body: { name: 'n', producer: 'alice' } }),
  listPackages: async (f) => ({ path: `/v1/packages?producer=alice${(await made(f)) && ''}` }),
  getPackage: async (f) => ({ path: await made(f) }),
  deletePackage: async (f) => ({ path: `${await made(f)}?reason=r` }),
  finalizePackage: async (f) => ({ path: `${await finalized(f)}/finalize` }),
  failPackage: async (f) => ({ path: `${await made(f)}/fail`, body: { reason: 'r' } }),
  linkPackage: async (f) => ({ path: `${await finalized(f)}/link` }),
  registerFiles: async (f) => ({ path: `${await made(f)}/files`, body: { files: [FILE] } }),
  listFiles: async (f) => ({ path: `${await made(f)}/files` }),
  putFile: async (f) => ({ path: `${await made(f)}/files/g`, body: 'bytes' }),
  getFile: async (f) => ({ path: `${await finalized(f)}/files/f` }),
  getManifest: async (f) => ({ path: `${await finalized(f)}/manifest` }),
  getArchive: async (f) => ({ path: `${await finalized(f)}/archive` }),
  removeFile: async (f) => ({ path: `${await made(f)}/files/f`, scope: 'packages:write' }),
  deleteFiles: async (f) => ({
    path: `${await finalized(f, { file_rules: [{ path: 'f', days: 0 }] })}/file-deletions`,
    body: { paths: ['f'], reason: 'r' },
  }),
  findFiles: async (f) => ({ path: `/v1/files?name=f${(await finalized(f)) && ''}` }),
  planUploads: async (f) => ({ path: `${await made(f)}/uploads`, body: { objects: [OBJECT] } }),
  getUpload: async (f) => ({ path: `/v1/uploads/${(await planned(f)).upload_id}`, scope: 'packages:write' }),
  signUploadParts: async (f) => ({
    path: `/v1/uploads/${(await planned(f)).upload_id}/urls`,
    body: { parts: [1] },
    scope: 'packages:write',
  }),
  commitUpload: async (f) => ({ path: `${await sent(f)}/commit`, scope: 'packages:write' }),
  abortUpload: async (f) => ({ path: `/v1/uploads/${(await planned(f)).upload_id}`, scope: 'packages:write' }),
  planDownloads: async (f) => ({ path: `${await finalized(f)}/downloads`, body: {} }),
  listRetentionClasses: async () => ({ path: '/v1/retention/classes' }),
  listEligible: async () => ({ path: '/v1/retention/eligible' }),
  getRetention: async (f) => ({ path: `${await made(f)}/retention` }),
  extendRetention: async (f) => ({ path: `${await made(f)}/retention/extensions`, body: { days: 1, reason: 'r' } }),
  placeHold: async (f) => ({ path: `${await made(f)}/holds`, body: { reason: 'r' } }),
  releaseHold: async (f) => {
    const pkg = await made(f);
    const hold = await f.admin.post(`${pkg}/holds`, { reason: 'r' });
    return { path: `${pkg}/holds/${hold.body.id}/release`, body: { reason: 'r' } };
  },
  listAudit: async () => ({ path: '/v1/audit' }),
  getAttestation: async (f) => ({ path: `${await finalized(f)}/attestation` }),
  getReceipt: async (f) => {
    const pkg = await finalized(f, { file_rules: [{ path: 'f', days: 0 }] });
    await f.admin.post(`${pkg}/file-deletions`, { paths: ['f'], reason: 'r' });
    return { path: `${pkg}/receipt` };
  },
  listKeys: async () => ({ path: '/v1/keys' }),
  rotateKey: async () => ({ path: '/v1/keys' }),
  getLog: async () => ({ path: '/v1/log' }),
  getLogCheckpoint: async () => ({ path: '/v1/log/checkpoint' }),
  // There is no authority that made one.
  getLogTimestamp: async () => ({ path: '/v1/log/timestamp?size=1', status: 404 }),
  getLogProof: async (f) => {
    const id = (await made(f)).slice('/v1/packages/'.length);
    const events = (await f.admin.get(`/v1/audit?package_id=${id}`)).body.items;
    return { path: `/v1/log/proof?event=${events[0].id}` };
  },
  getLogConsistency: async () => ({ path: '/v1/log/consistency?from=0' }),
  // A tree so small has no whole tile.
  getLogTile: async () => ({ path: '/v1/log/tile/9/000', status: 404 }),
  createToken: async () => ({ path: '/v1/tokens', body: { name: 'n', scopes: ['operator'] } }),
  listTokens: async () => ({ path: '/v1/tokens' }),
  revokeToken: async (f) => ({ path: `/v1/tokens/${(await makeToken(f.admin, { scopes: ['audit:read'] })).id}` }),
  createShare: async (f) => ({ path: `${await finalized(f)}/shares`, body: {} }),
  listShares: async (f) => ({ path: `${await finalized(f)}/shares` }),
  revokeShare: async (f) => ({
    path: `/v1/shares/${(await f.admin.post(`${await finalized(f)}/shares`, {})).body.id}`,
  }),
  createWebhook: async () => ({ path: '/v1/webhooks', body: { url: HOOK, producers: ['alice'] }, status: 201 }),
  listWebhooks: async () => ({ path: '/v1/webhooks' }),
  getWebhook: async (f) => ({ path: await hooked(f) }),
  removeWebhook: async (f) => ({ path: await hooked(f) }),
  testWebhook: async (f) => ({ path: `${await hooked(f)}/test` }),
  rotateWebhookSecret: async (f) => ({ path: `${await hooked(f)}/secret` }),
  listDeliveries: async (f) => ({ path: `${await hooked(f)}/deliveries` }),
  replayWebhook: async (f) => ({ path: `${await hooked(f)}/replay` }),
  getLimits: async () => ({ path: '/v1/limits' }),
  listQuotas: async () => ({ path: '/v1/quota' }),
  getDiagnosis: async () => ({ path: '/v1/diagnosis' }),
  startSweep: async () => ({ path: '/v1/operations/sweeps', body: {} }),
  listSweeps: async () => ({ path: '/v1/operations/sweeps' }),
  getSweep: async (f) => ({ path: await started(f, '/v1/operations/sweeps') }),
  getFixity: async () => ({ path: '/v1/operations/fixity' }),
  startFixity: async (f) => ({
    path: '/v1/operations/fixity',
    body: { package_id: (await finalized(f)).slice('/v1/packages/'.length) },
  }),
  getFixityRun: async (f) => ({ path: await started(f, '/v1/operations/fixity') }),
  planRepairs: async () => ({ path: '/v1/operations/repairs', body: { objects: [OBJECT] } }),
  listRepairs: async () => ({ path: '/v1/operations/repairs' }),
  repairManifests: async () => ({ path: '/v1/operations/repairs/manifests' }),
};

/** The same request for what does not exist: each id is another one of its kind. */
function absent<Of extends string | undefined>(text: Of): Of {
  return text?.replaceAll(
    /\b(pkg|upl|hold|evt|shr|whk)_[0-9a-f]{32}\b/g,
    `$1_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`,
  ) as Of;
}

export function routeScopesSuite(startTestService: StartTestService): void {
  const test = testWith<Fixture>(async () => {
    const service = await startTestService({
      env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN, ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' },
    });
    return { service, admin: apiOf(service.url, ADMIN_TOKEN) };
  });

  const bearers = ROUTES.filter(({ access }) => access !== 'open' && access !== 'signed');
  for (const route of bearers) {
    test(`${route.operationId}: no token, malformed, wrong scope, other producer, revoked, expired, right`, (t) =>
      tryRoute(t, route, t.context));
  }

  test('what is open or signed asks for no bearer', async (t) => {
    const stranger = apiOf(t.context.service.url);
    for (const { method, path, access } of ROUTES.filter((route) => !bearers.includes(route))) {
      const answer = await stranger.call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'));
      t.not(answer.status, 401, `${method} ${path} (${access})`);
    }
  });
}

async function tryRoute(t: ExecutionContext<Fixture>, route: Route, fixture: Fixture): Promise<void> {
  const { admin, service } = fixture;
  const example = await EXAMPLES[route.operationId as keyof typeof EXAMPLES](fixture);
  const needs: readonly Scope[] = typeof route.access === 'string' ? [] : route.access;
  const send = (api: Api, path = example.path): Promise<Answer> =>
    api.call(route.method.toUpperCase(), path, example.body);
  const withToken = async (scopes: readonly Scope[], more = {}) =>
    apiOf(service.url, (await makeToken(admin, { scopes: [...scopes], ...more })).token);
  const limited = SCOPES.filter((scope) => scope !== 'operator');

  const revoked = await makeToken(admin, { scopes: [...SCOPES] });
  await admin.call('DELETE', `/v1/tokens/${revoked.id}`);
  const fine = await makeToken(admin, { scopes: [...SCOPES] });
  const expired = await expiredToken(fixture);
  const last = fine.token.endsWith('0') ? '1' : '0';
  for (const [what, bearer] of Object.entries({
    'no token': undefined,
    'no token at all': 'nothing like it',
    'a mistyped token': fine.token.slice(0, -1) + last,
    'a revoked token': revoked.token,
    'an expired token': expired,
  })) {
    const answer = await send(apiOf(service.url, bearer));
    t.is(answer.status, 401, what);
    t.is(answer.body.code, 'unauthenticated', what);
  }
  const basic = await apiOf(service.url).call(route.method.toUpperCase(), example.path, example.body, {
    authorization: `Basic ${fine.token}`,
  });
  t.is(basic.status, 401, 'not as a bearer');

  if (needs.length > 0) {
    const others = SCOPES.filter((scope) => !needs.includes(scope));
    const wrong = await send(await withToken(others));
    t.is(wrong.status, 403, 'every scope but the right one');
    t.is(wrong.body.code, 'forbidden');
    t.deepEqual(wrong.body.scopes, needs, 'it names what would do');
  }
  const notHere = needs.filter((scope) => example.scope !== undefined && scope !== example.scope);
  for (const scope of notHere) {
    t.is((await send(await withToken([scope]))).body.code, 'forbidden', `${scope} is for other requests of the route`);
  }

  const bob = await withToken(limited, { producers: ['bob'] });
  const foreign = await send(bob);
  if (needs.includes('operator') && needs.length === 1) t.is(foreign.status, 403, 'no operator has a limit');
  else if (route.operationId === 'createPackage' || route.operationId === 'createWebhook')
    t.is(foreign.status, 403, 'of another producer');
  else if (absent(example.path) === example.path) {
    t.is(foreign.status, example.status ?? 200, 'it names nothing of anybody');
    if (Array.isArray(foreign.body.items) && route.access !== 'token') t.deepEqual(foreign.body.items, []);
  } else {
    const missing = await send(bob, absent(example.path));
    t.is(foreign.status, 404);
    t.deepEqual(withoutIds(foreign), withoutIds(missing), 'what bob may not read is as what does not exist');
  }

  const right = await withToken(needs.length === 0 ? ['audit:read'] : [example.scope ?? (needs[0] as Scope)]);
  const answer = await send(right);
  t.is(answer.status, example.status ?? (answer.status < 300 ? answer.status : 200), JSON.stringify(answer.body));
}

/** Every token of a test service expires at a time of its own: the service's time moves for all. */
async function expiredToken({ admin }: Fixture): Promise<string> {
  const { token } = await makeToken(admin, { scopes: [...SCOPES], expires_in: 1 });
  // Asked of the service, whose clock counts. Others make hundreds meanwhile.
  const state = async () => (await admin.get('/v1/tokens?limit=1000')).body.items.find(isIt).state;
  const isIt = ({ id }: { id: string }) => id.slice(4) === token.slice(5, 37);
  while ((await state()) !== 'expired');
  return token;
}
