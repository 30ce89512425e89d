import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { accessText } from '../../../src/http/route-scopes.ts';
import { ROUTES } from '../../../src/http/routes/index.ts';
import { type Answer, type Api, apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';

/** One description of the API in three places: the routes, /openapi.json, docs/api.md; and the service keeps to it. */ const DOCS =
  new URL('../../../docs/api.md', import.meta.url);

interface OpenApi {
  openapi: string;
  servers: Array<{ url: string }>;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonSchema> };
}
interface Operation {
  operationId: string;
  security: Array<{ bearer: string[] }>;
  parameters: Array<{ name: string; in: string; required: boolean }>;
  requestBody?: { required: boolean; content: Record<string, { schema?: JsonSchema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: JsonSchema }> }>;
}
type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];

function operationsOf(document: OpenApi): string[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

export function openapiSuite(startTestService: StartTestService): void {
  const test = testWith<{ service: TestService; api: Api; document: OpenApi }>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' } });
    const api = apiOf(service.url);
    return { service, api, document: (await api.get('/openapi.json')).body };
  });

  test('/openapi.json, the routes and docs/api.md have the same operations', async (t) => {
    const routes = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted();
    t.deepEqual(operationsOf(t.context.document).toSorted(), routes);
    const docs = await readFile(DOCS, 'utf8');
    const headings = [...docs.matchAll(/^### ([A-Z]+ \/\S+)$/gm)].map(([, heading]) => heading as string);
    t.deepEqual(headings.toSorted(), routes);
  });

  test('docs/api.md calls every operation', async (t) => {
    const docs = await readFile(DOCS, 'utf8');
    for (const section of docs.split(/^### /m).slice(1)) {
      t.regex(section, /^```console\n\$ [^`]*curl /m, section.split('\n')[0]);
    }
  });

  test('/openapi.json and docs/api.md say which scope each operation needs', async (t) => {
    const docs = await readFile(DOCS, 'utf8');
    for (const { method, path, access } of ROUTES) {
      const heading = `### ${method.toUpperCase()} ${path}\n`;
      const section = docs.slice(docs.indexOf(heading)).split(/\n##+ /)[0] ?? '';
      t.true(section.replaceAll('`', '').includes(`\nNeeds: ${accessText(access)}.\n`), `${heading.trim()}: ${access}`);
      const asked = t.context.document.paths[path]?.[method]?.security.flatMap(({ bearer }) => bearer);
      t.deepEqual(asked, typeof access === 'string' ? [] : [...access], heading);
    }
  });

  test('docs/access.md lists each operation beside what it needs', async (t) => {
    const table = new Map(
      [...(await readFile(new URL('access.md', DOCS), 'utf8')).matchAll(/^\| (.+?) \| (`[A-Z]+ \/.+) \|$/gm)].map(
        ([, needs, calls]) => [needs?.replaceAll('`', ''), calls?.split(', ').toSorted()] as const,
      ),
    );
    const expected = Map.groupBy(ROUTES, ({ access }) => accessText(access));
    t.deepEqual([...table.keys()].toSorted(), [...expected.keys()].toSorted());
    for (const [needs, routes] of expected) {
      const calls = routes.map(({ method, path }) => `\`${method.toUpperCase()} ${path}\``);
      t.deepEqual(table.get(needs), calls.toSorted(), needs);
    }
  });

  test('docs/api.md names every query parameter and every field of a body', async (t) => {
    const docs = await readFile(DOCS, 'utf8');
    const paged = new Set(['limit', 'cursor']);
    for (const [path, item] of Object.entries(t.context.document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const heading = `### ${method.toUpperCase()} ${path}\n`;
        const text = docs.slice(docs.indexOf(heading)).split(/\n##+ /)[0] ?? '';
        // What a signed URL carries is nobody's to write.
        const signed = path === '/v1/objects/{object_id}' || path.endsWith('/parts/{number}');
        const query = operation.parameters.filter((parameter) => parameter.in === 'query' && !signed);
        const body = operation.requestBody?.content['application/json']?.schema as { properties?: object } | undefined;
        const names = [...query.map(({ name }) => name), ...Object.keys(body?.properties ?? {})];
        for (const name of names.filter((each) => !paged.has(each))) {
          t.regex(text, new RegExp(`\\b${name}\\b`), `${heading.trim()}: ${name}`);
        }
      }
    }
  });

  test('the document is OpenAPI 3.1 with unique operation ids, and names this service', (t) => {
    const { document, service } = t.context;
    t.regex(document.openapi, /^3\.1\./);
    t.deepEqual(document.servers, [{ url: service.url }]);
    const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((each) => each.operationId));
    t.is(new Set(ids).size, ids.length);
    for (const [path, item] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { operationId, parameters } of Object.values(item)) {
        const declared = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
        t.deepEqual(declared, inPath, operationId);
      }
    }
  });

  test('what the service answers is what the document says', async (t) => {
    const { api, document } = t.context;
    const covered = new Set<string>();
    const check = async (method: string, template: string, answer: Promise<Answer>): Promise<Answer> => {
      const { status, body, headers } = await answer;
      const operation = document.paths[template]?.[method];
      if (operation === undefined) throw new Error(`${method} ${template} is not documented`);
      const { responses, operationId } = operation;
      const isProblem = (headers.get('content-type') ?? '').startsWith('application/problem+json');
      const schema = isProblem
        ? document.components.schemas.Problem
        : responses[status]?.content?.['application/json']?.schema;
      if (schema === undefined) return t.fail(`${operationId} does not document ${status}`);
      const parsed = z.fromJSONSchema(schema).safeParse(body);
      t.true(
        parsed.success,
        `${operationId} ${status}: ${parsed.error === undefined ? '' : z.prettifyError(parsed.error)}`,
      );
      covered.add(operationId);
      return { status, body, headers };
    };
    const text = 'evidence';
    const file = { path: 'a/b.txt', digest: sha256(text), size: text.length };
    const made = { name: 'n', producer: 'p', file_rules: [{ path: 'a/**', days: 0 }] };
    const created = await check('post', '/v1/packages', api.post('/v1/packages', made));
    const at = `/v1/packages/${created.body.id}`;
    await check('get', '/v1/packages', api.get('/v1/packages?producer=p'));
    await check('post', '/v1/packages/{id}/files', api.post(`${at}/files`, { files: [file] }));
    await check('post', '/v1/packages/{id}/finalize', api.post(`${at}/finalize`));
    const { digest, size } = file;
    const plan = api.post(`${at}/uploads`, { objects: [{ digest, size }] });
    const [upload] = (await check('post', '/v1/packages/{id}/uploads', plan)).body.uploads;
    const uploadAt = `/v1/uploads/${upload.upload_id}`;
    await check('get', '/v1/uploads/{upload_id}', api.get(uploadAt));
    await check('post', '/v1/uploads/{upload_id}/urls', api.post(`${uploadAt}/urls`, { parts: [1] }));
    t.is((await api.send(upload.parts[0], Buffer.from(text))).status, 200);
    await check('post', '/v1/uploads/{upload_id}/commit', api.post(`${uploadAt}/commit`));
    await check('delete', '/v1/uploads/{upload_id}', api.call('DELETE', uploadAt));
    await check('put', '/v1/packages/{id}/files/{path}', api.call('PUT', `${at}/files/c.txt`, 'more'));
    await check('get', '/v1/packages/{id}/files', api.get(`${at}/files`));
    await check('post', '/v1/packages/{id}/downloads', api.post(`${at}/downloads`));
    await check('post', '/v1/packages/{id}/finalize', api.post(`${at}/finalize`, { file_count: 2 }));
    await check('get', '/v1/retention/eligible', api.get('/v1/retention/eligible'));
    const removal = api.post(`${at}/file-deletions`, { paths: [file.path], reason: 'r' });
    t.is((await check('post', '/v1/packages/{id}/file-deletions', removal)).status, 200);
    await check('get', '/v1/packages/{id}/files', api.get(`${at}/files`));
    await check('get', '/v1/packages/{id}', api.get(at));
    await check('get', '/v1/packages/{id}/link', api.get(`${at}/link?task_id=t-1`));
    await check(
      'post',
      '/v1/packages/{id}/retention/extensions',
      api.post(`${at}/retention/extensions`, { days: 1, reason: 'r' }),
    );
    await check('get', '/v1/files', api.get(`/v1/files?name=${file.path.split('/').at(-1)}`));
    const share = await check('post', '/v1/packages/{id}/shares', api.post(`${at}/shares`, { note: 'for a look' }));
    await check('get', '/v1/packages/{id}/shares', api.get(`${at}/shares`));
    await check('delete', '/v1/shares/{id}', api.call('DELETE', `/v1/shares/${share.body.id}?reason=r`));
    const hold = await check('post', '/v1/packages/{id}/holds', api.post(`${at}/holds`, { reason: 'r' }));
    const release = api.post(`${at}/holds/${hold.body.id}/release`, { reason: 'r' });
    await check('post', '/v1/packages/{id}/holds/{hold_id}/release', release);
    await check('get', '/v1/packages/{id}/retention', api.get(`${at}/retention`));
    await check('delete', '/v1/packages/{id}', api.call('DELETE', at, { reason: 'too early' }));
    const other = `/v1/packages/${await api.create()}`;
    await check('post', '/v1/packages/{id}/fail', api.post(`${other}/fail`, { reason: 'r' }));
    await check('delete', '/v1/packages/{id}', api.call('DELETE', `${other}?reason=r`));
    await check('get', '/v1/retention/classes', api.get('/v1/retention/classes'));
    await check('get', '/v1/retention/eligible', api.get('/v1/retention/eligible'));
    await check('get', '/v1/audit', api.get('/v1/audit'));
    await check('get', '/v1/log', api.get('/v1/log'));
    await check('get', '/v1/log/consistency', api.get('/v1/log/consistency?from=0'));
    await check('get', '/v1/log', api.get('/v1/log'));
    await check('get', '/v1/keys', api.get('/v1/keys'));
    await check('post', '/v1/keys', api.post('/v1/keys'));
    await check('get', '/v1/limits', api.get('/v1/limits'));
    await check('get', '/v1/quota', api.get('/v1/quota'));
    await check('get', '/v1/diagnosis', api.get('/v1/diagnosis'));
    const operations = '/v1/operations';
    const sweep = await check('post', `${operations}/sweeps`, api.post(`${operations}/sweeps`, {}));
    await check('get', `${operations}/sweeps`, api.get(`${operations}/sweeps`));
    await check('get', `${operations}/sweeps/{id}`, api.get(`${operations}/sweeps/${sweep.body.id}`));
    const run = await check('post', `${operations}/fixity`, api.post(`${operations}/fixity`));
    await check('get', `${operations}/fixity`, api.get(`${operations}/fixity`));
    await check('get', `${operations}/fixity/{id}`, api.get(`${operations}/fixity/${run.body.id}`));
    const repairs = { objects: [{ digest, size }] };
    await check('post', `${operations}/repairs`, api.post(`${operations}/repairs`, repairs));
    await check('get', `${operations}/repairs`, api.get(`${operations}/repairs`));
    await check('post', `${operations}/repairs/manifests`, api.post(`${operations}/repairs/manifests`));
    await check('get', '/healthz', api.get('/healthz'));
    await check('get', '/readyz', api.get('/readyz'));
    const hook = api.post('/v1/webhooks', { url: 'http://127.0.0.1:9/', types: ['hold.placed'] });
    const hookAt = `/v1/webhooks/${(await check('post', '/v1/webhooks', hook)).body.id}`;
    await check('get', '/v1/webhooks', api.get('/v1/webhooks'));
    await check('get', '/v1/webhooks/{id}', api.get(hookAt));
    await check('post', '/v1/webhooks/{id}/test', api.post(`${hookAt}/test`));
    await check('post', '/v1/webhooks/{id}/secret', api.post(`${hookAt}/secret`));
    await check('get', '/v1/webhooks/{id}/deliveries', api.get(`${hookAt}/deliveries?state=dead`));
    await check('post', '/v1/webhooks/{id}/replay', api.post(`${hookAt}/replay`));
    await check('delete', '/v1/webhooks/{id}', api.call('DELETE', hookAt));
    const fresh = api.post('/v1/tokens', { name: 'n', scopes: ['operator'], expires_in: 60 });
    const { id, token } = (await check('post', '/v1/tokens', fresh)).body;
    const operator = apiOf(t.context.service.url, token);
    await check('get', '/readyz', api.get('/readyz'));
    await check('get', '/v1/tokens', operator.get('/v1/tokens'));
    await check('delete', '/v1/tokens/{id}', operator.call('DELETE', `/v1/tokens/${id}`));
    // What answers with bytes, or with nothing, has no schema.
    const withSchema = ROUTES.filter(({ answers }) => Object.values(answers).some((each) => typeof each !== 'string'));
    t.deepEqual([...covered].toSorted(), withSchema.map(({ operationId }) => operationId).toSorted());
  });
}
