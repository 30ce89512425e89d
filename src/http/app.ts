import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import { StoreError } from '../core/errors.ts';
import type { Log } from '../usecases/services.ts';
import { answerPatience } from './answer-patience.ts';
import { answerUnread } from './answer-unread.ts';
import { type Authentication, assertShown, isShown } from './authenticate.ts';
import { docsPage } from './docs-page.ts';
import { errorsPage } from './errors-page.ts';
import { framing } from './framing.ts';
import { frontDocument, frontPage } from './front-page.ts';
import { cors, loopbackOnly, sameOrigin } from './guard.ts';
import { sendPage } from './html-page.ts';
import { jsonShares } from './json-shares.ts';
import type { Metrics } from './metrics.ts';
import { openApi } from './openapi.ts';
import { type PresentProblem, problems } from './problem.ts';
import { requestLog } from './request-log.ts';
import { type RequestRates, requestRates } from './request-rates.ts';
import type { HttpServices, Route } from './route.ts';
import { PAGE_SCOPES, READINESS_DETAILS, type ShownTo } from './route-scopes.ts';
import { serveRoute } from './serve-route.ts';
import { transfers } from './transfers.ts';

/** Why an answer breaks off that need not be logged: the client went away, or the damage was logged already. */
const TOLD = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'integrity_failure'];

export interface AppOptions {
  services: HttpServices;
  routes: readonly Route[];
  /** What the `type` of problems begins with. */
  errorPages: string;
  authentication: Authentication;
  corsOrigins: readonly string[];
  metrics: Metrics;
  log: Log;
  pages: Pages;
}

/** Addresses that are pages for people, and how they are told of errors there. */
export interface Pages {
  problem: PresentProblem;
  routes(router: Router, rates: RequestRates): void;
}

/**
 * The middleware, outermost first: request id and log, how an answer is sent, problems, whether the request can be understood
 * and may come from there, then one handler per route.
 */
export function createApp(options: AppOptions): Koa {
  const { services, routes, authentication, metrics, log, corsOrigins, pages } = options;
  const app = new Koa();
  // What fails before its answer has begun is answered and logged by `problems`.
  app.silent = true;
  app.on('error', (err: NodeJS.ErrnoException) => {
    if (!TOLD.includes(err.code ?? '')) log.error({ err }, 'an answer was cut off');
  });
  app.use(requestLog(log, metrics));
  app.use(sameOrigin());
  app.use(answerPatience(services.bounds.answerIdleMs));
  app.use(answerUnread(services.bounds));
  app.use(problems(log, { documented: options.errorPages, asPage: pages.problem }));
  app.use(framing());
  app.use(loopbackOnly(corsOrigins, authentication.isOpen));
  if (corsOrigins.length > 0) app.use(cors(corsOrigins));

  app.use(async (ctx, next) => {
    await next();
    if (ctx.status !== 404 || ctx.body !== undefined) return;
    throw new StoreError('route_not_found', `There is nothing at ${ctx.method} ${ctx.path.slice(0, 200)}: see /docs.`);
  });
  const router = new Router({ sensitive: true, strict: true });
  const { bounds } = services;
  const rates = requestRates(bounds);
  const shared = { shares: jsonShares(bounds.jsonInFlight), rates, transfers: transfers(bounds.transfers) };
  for (const route of routes) {
    router[route.method](routerPath(route.path), serveRoute(route, services, authentication, shared));
  }
  // Made once: it takes as long as many requests. Not before the service knows its own address.
  let document: string | null = null;
  const page = (path: keyof typeof PAGE_SCOPES, show: (ctx: Context) => Promise<void> | void): void => {
    router.get(path, async (ctx) => {
      const to: ShownTo = PAGE_SCOPES[path];
      const viewer = to.access === 'open' ? null : await authentication.viewer(ctx.get('authorization') || undefined);
      await rates.take(ctx, viewer?.actor ?? null);
      assertShown(viewer, to);
      await show(ctx);
    });
  };
  page('/openapi.json', (ctx) => {
    document ??= JSON.stringify(openApi(routes, services.version, services.publicUrl()));
    ctx.body = document;
    ctx.type = 'json';
  });
  page('/docs', (ctx) => {
    sendPage(ctx, docsPage(routes, services.version));
  });
  const errors = errorsPage();
  page('/docs/errors', async (ctx) => sendPage(ctx, await errors()));
  page('/', async (ctx) => {
    const authorization = ctx.get('authorization') || undefined;
    const isTold = await isShown(authentication, authorization, READINESS_DETAILS);
    const about = {
      version: isTold ? services.version : null,
      serves: (path: string) => router.match(path, 'GET').route,
    };
    ctx.vary('Accept');
    if (ctx.accepts('json', 'html') === 'html') sendPage(ctx, frontPage(about));
    else ctx.body = frontDocument(about);
  });
  page('/metrics', async (ctx) => {
    ctx.body = await metrics.text();
    ctx.type = metrics.contentType;
  });
  pages.routes(router, rates);
  app.use(countStrangers(rates));
  app.use(router.routes());
  app.use(router.allowedMethods({ throw: true, methodNotAllowed: methodNotAllowed, notImplemented: methodNotAllowed }));
  return app;
}

/** Requests with no token, or one that is none, of whatever kind, are counted by where they come from: nobody tries tokens at leisure. */
function countStrangers(rates: RequestRates) {
  return async (ctx: Koa.Context, next: Koa.Next): Promise<void> => {
    try {
      await next();
    } catch (error) {
      if (isOfStranger(error)) await rates.take(ctx, null);
      throw error;
    }
  };
}

function isOfStranger(error: unknown): boolean {
  return error instanceof StoreError && (error.status === 401 || error.code === 'issuer_unavailable');
}

function methodNotAllowed(): StoreError {
  return new StoreError('method_not_allowed', 'This address does not support that method: see /docs.');
}

/** OpenAPI's `{name}` in the router's words; a last `{path}` takes the rest of the address. */
export function routerPath(path: string): string {
  return path.replace(/\{path\}$/, '*path').replaceAll(/\{(\w+)\}/g, ':$1');
}
