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
import { readForm } from './forms.ts';
import { html } from './html.ts';
import { layout, PAGE_HEADERS, type Viewer } from './layout.ts';
import type { PageAnswer, UiRoute } from './page.ts';
import { assertOwnForm, type Sessions } from './sessions.ts';

export interface Site {
  services: HttpServices;
  authentication: Authentication;
  sessions: Sessions;
}

/** Checks who looks, the path, the query and where a form comes from, and answers with a page. */
export function servePage(route: UiRoute, site: Site, rates: RequestRates): (ctx: Context) => Promise<void> {
  const { services } = site;
  return async (ctx) => {
    ctx.state.operationId = route.id;
    ctx.set(PAGE_HEADERS);
    let caller = await signedIn(site, ctx, route.access, rates);
    const params = pathParameters(ctx, route);
    const query = route.query === null ? undefined : validate(route.query, withoutEmpty(queryOf(ctx)), 'query');
    let form = new URLSearchParams();
    if (route.method === 'post') {
      assertOwnForm(ctx, services.publicUrl());
      form = await readForm(ctx, services.bounds);
      // Its token may have ended while the form was on its way: whoever holds one back gains no time by it.
      caller = await known(site, ctx, route.access);
      assertAllowed(caller, route.access);
    }
    const answer = await route.handle(services, { params, query, form, caller }, ctx);
    if (answer !== undefined) answerPage(ctx, answer);
  };
}

/** Who looks at a page, and may. @throws StoreError unauthenticated, forbidden */
async function signedIn(site: Site, ctx: Context, access: RouteAccess, rates: RequestRates): Promise<Caller> {
  const caller = await known(site, ctx, access);
  // Before it is known whether it may: the page that refuses says who asked.
  if (access !== 'open') ctx.state.viewer = viewerOf(caller, site.sessions.hasCookie(ctx));
  // Whoever may not is counted before it is told so.
  await rates.take(ctx, access === 'open' ? null : caller.actor);
  assertAllowed(caller, access);
  return caller;
}

/** Who looks now; of a page that is open, nobody is known. @throws StoreError unauthenticated */
async function known({ authentication, sessions }: Site, ctx: Context, access: RouteAccess): Promise<Caller> {
  if (access === 'open') return authentication.caller(undefined, 'open');
  return authentication.caller(await sessions.authorization(ctx), 'token');
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
${ctx.state.viewer === undefined ? null : html`<p class="actions"><a class="button quiet" href="/ui">All packages</a></p>`}</div>`;
  answerPage(ctx, { status: error.status, title: error.title, body });
  return true;
}

function withoutEmpty(query: Record<string, string>): Record<string, string> {
  const some = Object.entries(query).filter(([, value]) => value.trim() !== '');
  return Object.assign(Object.create(null), Object.fromEntries(some));
}
