import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context } from 'koa';
import { StoreError } from '../core/errors.ts';
import { clientNetwork } from '../core/ip-address.ts';
import { type Authentication, assertAllowed, isShown } from './authenticate.ts';
import { jsonReader, NO_BODY } from './json-body.ts';
import type { JsonShares } from './json-shares.ts';
import type { RequestRates } from './request-rates.ts';
import type { Answer, HttpServices, Route } from './route.ts';
import { READINESS_DETAILS } from './route-scopes.ts';
import type { Transfers } from './transfers.ts';
import { queryOf, validate } from './validate.ts';

/** Bytes of a body that takes milliseconds to read. */
const LARGE_BODY = 64 * 1024;

/** What all routes share: how much of it callers may have. */
export interface Shared {
  shares: JsonShares;
  rates: RequestRates;
  transfers: Transfers;
}

/** Checks the caller, the path and the query first, and reads the body only when these are right. */
export function serveRoute(
  route: Route,
  services: HttpServices,
  authentication: Authentication,
  { shares, rates, transfers }: Shared,
): (ctx: Context) => Promise<void> {
  const { limits, bounds } = services;
  const { bytes, values } = route.json(limits);
  const readJson = jsonReader({ bytes: Math.min(bytes, limits.json_body_max), values }, bounds);
  return async (ctx) => {
    ctx.state.operationId = route.operationId;
    const authorization = ctx.get('authorization') || undefined;
    let caller = await authentication.caller(authorization, route.access);
    // Who is not authenticated is counted by where it comes from; whether the process lives is told however often.
    const actor = route.access === 'open' || route.access === 'signed' ? null : caller.actor;
    if (route.operationId !== 'getHealth') await rates.take(ctx, actor);
    assertAllowed(caller, route.access);
    const params = pathParameters(ctx, route);
    const sent = queryOf(ctx);
    const query = route.query ? validate(route.query, sent, 'query') : route.bodyOrQuery ? undefined : noQuery(sent);
    const isWhole = ctx.req.complete;
    const sender = actor ?? addressOf(ctx);
    const leave = route.body === 'bytes' ? transfers.enter(sender) : () => {};
    const share = shares.open(sender);
    try {
      const json = route.body === 'bytes' ? NO_BODY : await readJson(ctx, share);
      // Its token may have ended while the body was on its way: whoever holds one back gains no time by it.
      if (json.size > 0 && !isWhole) {
        caller = await authentication.caller(authorization, route.access);
        assertAllowed(caller, route.access);
      }
      // Reading, checking and using a large body are three turns of the event loop, not one: others get theirs between.
      const pause = json.size >= LARGE_BODY ? nextTurn : async () => {};
      await pause();
      const fromQuery = route.bodyOrQuery && json.value === undefined;
      if (route.bodyOrQuery && !fromQuery) noQuery(sent);
      const body = bodyOf(route, fromQuery ? sent : json.value, fromQuery ? 'query' : 'body');
      await pause();
      const isTold = () => isShown(authentication, authorization, READINESS_DETAILS);
      const request = { params, query, body, caller, operationId: route.operationId, isTold };
      answer(ctx, await route.handle(services, request, ctx));
    } finally {
      share.end();
      leave();
    }
  };
}

/** No actor begins so. */
function addressOf(ctx: Context): string {
  return `address ${clientNetwork(ctx.req.socket.remoteAddress ?? '')}`;
}

function answer(ctx: Context, answered: Answer | undefined): void {
  if (!answered) return;
  if (answered.headers) ctx.set(answered.headers);
  ctx.body = answered.body === undefined ? null : answered.body;
  ctx.status = answered.status;
}

function bodyOf(route: Route, value: unknown, what: 'body' | 'query'): unknown {
  if (route.body === 'bytes') return undefined;
  if (route.body !== null) return validate(route.body, value, what);
  if (value === undefined) return undefined;
  throw new StoreError('invalid_request', 'This request accepts no body.', {
    errors: [{ field: 'body', message: 'is not accepted' }],
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
export function pathParameters(ctx: Context, route: Pick<Route, 'path'>): Record<string, string> {
  const sent = (ctx.req.url ?? '').replace(/[?#].*$/s, '').split('/');
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
