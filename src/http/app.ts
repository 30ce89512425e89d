import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Router from '@koa/router';
import Koa, { type Context, type Next } from 'koa';
import { StoreError } from '../core/errors.ts';
import type { Log } from '../usecases/services.ts';
import type { Authenticate } from './authenticate.ts';
import { docsPage } from './docs-page.ts';
import { cors, loopbackOnly } from './guard.ts';
import type { Metrics } from './metrics.ts';
import { openApi } from './openapi.ts';
import { problems } from './problem.ts';
import type { HttpServices, Route } from './route.ts';
import { jsonReader, queryOf, validate } from './validate.ts';

/** Bytes of a body that takes milliseconds to read. */
const LARGE_BODY = 64 * 1024;

export interface AppOptions {
  services: HttpServices;
  routes: readonly Route[];
  authenticate: Authenticate;
  /** Refuse what does not come from this machine by name: when there is no token. */
  guardLoopback: boolean;
  corsOrigins: readonly string[];
  metrics: Metrics;
  log: Log;
}

/** The middleware, outermost first: request id and log, problems, guard, CORS, then one handler per route. */
export function createApp(options: AppOptions): Koa {
  const { services, routes, metrics, log, corsOrigins } = options;
  const app = new Koa();
  // Everything that fails has been answered and logged by `problems`; what is left is a client that went away.
  app.silent = true;
  app.on('error', (err: NodeJS.ErrnoException) => {
    const left = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_EOF_STATE'];
    if (!left.includes(err.code ?? '')) log.error({ err }, 'an answer broke off');
  });
  app.use(requestLog(log, metrics));
  app.use(problems(log));
  if (options.guardLoopback) app.use(loopbackOnly(corsOrigins));
  if (corsOrigins.length > 0) app.use(cors(corsOrigins));

  app.use(async (ctx, next) => {
    await next();
    if (ctx.status !== 404 || ctx.body !== undefined) return;
    throw new StoreError('route_not_found', `There is nothing at ${ctx.method} ${ctx.path.slice(0, 200)}: see /docs.`);
  });
  const router = new Router({ sensitive: true, strict: true });
  const readJson = jsonReader(services.limits.json_body_max);
  for (const route of routes) {
    router[route.method](routerPath(route.path), serve(route, services, options.authenticate, readJson));
  }
  const document = () => openApi(routes, services.version, services.publicUrl());
  router.get('/openapi.json', async (ctx) => {
    ctx.body = document();
  });
  router.get('/docs', async (ctx) => {
    ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
    ctx.body = docsPage(routes, services.version);
    ctx.type = 'html';
  });
  router.get('/metrics', async (ctx) => {
    ctx.body = await metrics.text();
    ctx.type = metrics.contentType;
  });
  app.use(router.routes());
  app.use(router.allowedMethods({ throw: true, methodNotAllowed: methodNotAllowed, notImplemented: methodNotAllowed }));
  return app;
}

function methodNotAllowed(): StoreError {
  return new StoreError('method_not_allowed', 'This address does not know that method: see /docs.');
}

/** OpenAPI's `{name}` in the router's words; a last `{path}` takes the rest of the address. */
function routerPath(path: string): string {
  return path.replace(/\{path\}$/, '*path').replaceAll(/\{(\w+)\}/g, ':$1');
}

function serve(
  route: Route,
  services: HttpServices,
  authenticate: Authenticate,
  readJson: (ctx: Context) => Promise<unknown>,
) {
  return async (ctx: Context): Promise<void> => {
    ctx.state.operationId = route.operationId;
    const caller =
      route.access === 'bearer'
        ? authenticate(ctx.get('authorization') || undefined)
        : { actor: route.access, reads: { producers: [] } };
    const query = queryOf(ctx);
    const json = route.body === 'bytes' ? undefined : await readJson(ctx);
    // Reading, checking and using a large body are three turns of the event loop, not one: others get theirs between.
    const isLarge = route.body !== 'bytes' && Number(ctx.get('content-length')) >= LARGE_BODY;
    const pause = isLarge ? nextTurn : async () => {};
    await pause();
    const fromQuery = route.bodyOrQuery && json === undefined;
    const request = {
      params: pathParameters(ctx, route),
      query: route.query ? validate(route.query, query, 'query') : fromQuery ? undefined : noQuery(query),
      body: body(route, fromQuery ? query : json, fromQuery ? 'query' : 'body'),
      caller,
      operationId: route.operationId,
    };
    await pause();
    const answer = await route.handle(services, request, ctx);
    if (!answer) return;
    if (answer.headers) ctx.set(answer.headers);
    if (answer.body === undefined) ctx.body = null;
    else ctx.body = answer.body;
    ctx.status = answer.status;
  };
}

function body(route: Route, value: unknown, what: 'body' | 'query'): unknown {
  if (route.body === 'bytes') return undefined;
  if (route.body !== null) return validate(route.body, value, what);
  if (value === undefined) return undefined;
  throw new StoreError('invalid_request', 'This request takes no body.', {
    errors: [{ field: 'body', message: 'is not taken' }],
  });
}

function noQuery(query: Record<string, string>): undefined {
  const [name] = Object.keys(query);
  if (name === undefined) return undefined;
  throw new StoreError('invalid_request', `The query has the unknown field ${JSON.stringify(name.slice(0, 100))}.`, {
    errors: [{ field: name.slice(0, 100).toWellFormed(), message: 'is not known' }],
  });
}

/** From the address as it was sent: nothing may normalize a path on its way. */
function pathParameters(ctx: Context, route: Route): Record<string, string> {
  // Proxies may send the address in absolute form (RFC 9112, 3.2.2).
  const sent = (ctx.req.url ?? '')
    .replace(/^https?:\/\/[^/]*/i, '')
    .replace(/[?#].*$/s, '')
    .split('/');
  const params: Record<string, string> = {};
  for (const [index, segment] of route.path.split('/').entries()) {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined) continue;
    params[name] = decode(name === 'path' ? sent.slice(index).join('/') : (sent[index] ?? ''));
  }
  return params;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StoreError(
      'invalid_path',
      `The address is not percent-encoded UTF-8: ${JSON.stringify(text.slice(0, 200))}.`,
      {
        path: text.slice(0, 200).toWellFormed(),
      },
    );
  }
}

function requestLog(log: Log, metrics: Metrics) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const started = performance.now();
    ctx.state.requestId = randomUUID();
    ctx.set('X-Request-Id', ctx.state.requestId);
    ctx.res.once('close', () => {
      const seconds = (performance.now() - started) / 1_000;
      const operation = (ctx.state.operationId as string | undefined) ?? 'none';
      const fields = {
        request_id: ctx.state.requestId,
        method: ctx.method,
        operation,
        // Without its query: that of a signed URL is a secret.
        path: ctx.path,
        status: ctx.status,
        ms: Math.round(seconds * 10_000) / 10,
      };
      metrics.observe(operation, ctx.method, ctx.status, seconds);
      if (operation === 'putPart' || operation === 'putFile') metrics.received(Number(ctx.get('content-length')) || 0);
      if (ctx.status >= 500) log.warn(fields, 'request');
      else log.debug(fields, 'request');
    });
    await next();
  };
}
