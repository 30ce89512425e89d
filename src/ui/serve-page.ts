import type { Context } from 'koa';
import type { StoreError } from '../core/errors.ts';
import { allows } from '../core/scopes.ts';
import { type Authentication, assertAllowed } from '../http/authenticate.ts';
import type { RequestRates } from '../http/request-rates.ts';
import type { HttpServices } from '../http/route.ts';
import type { RouteAccess } from '../http/route-scopes.ts';
import { pathParameters } from '../http/serve-route.ts';
import { queryOf, validate } from '../http/validate.ts';
import { grantOfCaller } from '../usecases/access.ts';
import type { Caller } from '../usecases/services.ts';
import { html } from './html.ts';
import { layout, PAGE_HEADERS, type Viewer } from './layout.ts';
import type { PageAnswer, UiRoute } from './page.ts';
import type { Sessions } from './sessions.ts';

export interface Site {
  services: HttpServices;
  authentication: Authentication;
  sessions: Sessions;
}

/** Checks who looks, the path and the query, and answers with a page. */
export function servePage(route: UiRoute, site: Site, rates: RequestRates): (ctx: Context) => Promise<void> {
  const { services } = site;
  return async (ctx) => {
    ctx.state.operationId = route.id;
    ctx.set(PAGE_HEADERS);
    const caller = await signedIn(site, ctx, route.access, rates);
    const params = pathParameters(ctx, route);
    const query = route.query === null ? undefined : validate(route.query, withoutEmpty(queryOf(ctx)), 'query');
    const answer = await route.handle(services, { params, query, caller }, ctx);
    if (answer !== undefined) answerPage(ctx, answer);
  };
}

/** Who looks at a page, and may. @throws StoreError unauthenticated, forbidden */
async function signedIn(
  { authentication, sessions }: Site,
  ctx: Context,
  access: RouteAccess,
  rates: RequestRates,
): Promise<Caller> {
  if (access === 'open') {
    await rates.take(ctx, null);
    return authentication.caller(undefined, 'open');
  }
  const known = await authentication.caller(await sessions.authorization(ctx), 'token');
  // Before it is known whether it may: the page that refuses says who asked.
  ctx.state.viewer = viewerOf(known, sessions.hasCookie(ctx));
  // Whoever may not is counted before it is told so.
  await rates.take(ctx, known.actor);
  assertAllowed(known, access);
  return known;
}

/** Answers with a page; whose it is stands in the context, or it is nobody's. */
export function answerPage(ctx: Context, { status = 200, ...parts }: PageAnswer): void {
  ctx.status = status;
  ctx.body = layout({ ...parts, who: (ctx.state.viewer as Viewer | undefined) ?? null });
  ctx.type = 'text/html; charset=utf-8';
}

function viewerOf(caller: Caller, signedIn: boolean): Viewer {
  return { actor: caller.actor, signedIn, operates: allows(grantOfCaller(caller), 'operator') };
}

/** Whether errors at this address are told in pages: what loads evidence is no person. */
export function isPage(ctx: Context): boolean {
  if (ctx.path.startsWith('/ui/evidence/')) return false;
  return ctx.path === '/ui' || ctx.path.startsWith('/ui/');
}

/** Who is not signed in is led to where that is done; every other error is a page. */
export function problemPage(ctx: Context, error: StoreError): boolean {
  if (!isPage(ctx)) return false;
  ctx.set(PAGE_HEADERS);
  if (error.code === 'unauthenticated' && (ctx.method === 'GET' || ctx.method === 'HEAD')) {
    ctx.remove('WWW-Authenticate');
    const asked = ctx.req.url ?? '/ui';
    ctx.redirect(asked === '/ui' ? '/ui/login' : `/ui/login?next=${encodeURIComponent(asked)}`);
    ctx.body = '';
    return true;
  }
  const body = html`<h1>${error.title}</h1>
<div class="panel"><p>${error.message}</p>
<p class="soft small">${error.status} · <code>${error.code}</code> · request <code>${String(ctx.state.requestId)}</code></p>
<p class="actions"><a class="button quiet" href="/ui">All packages</a></p></div>`;
  answerPage(ctx, { status: error.status, title: error.title, body });
  return true;
}

function withoutEmpty(query: Record<string, string>): Record<string, string> {
  const some = Object.entries(query).filter(([, value]) => value.trim() !== '');
  return Object.assign(Object.create(null), Object.fromEntries(some));
}
