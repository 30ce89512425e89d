import type { Context } from 'koa';
import type * as z from 'zod/mini';
import type { HttpServices } from '../http/route.ts';
import { type RouteAccess, UI_SCOPES, type UiId } from '../http/route-scopes.ts';
import type { Caller } from '../usecases/services.ts';
import type { PageParts } from './layout.ts';

/** What a page is made from. */
export interface PageRequest<Query> {
  /** Path parameters, percent-decoded and valid UTF-8. */
  params: Record<string, string>;
  query: Query;
  /** What was sent by POST, by a page of this service. */
  form: URLSearchParams;
  caller: Caller;
}

/** A page; one that sends bytes, or leads elsewhere, sets the context itself and returns nothing. */
export type PageAnswer = Omit<PageParts, 'who'> & { status?: number };

export interface UiRoute {
  method: 'get' | 'post';
  /** As of the API's routes. */
  path: string;
  id: UiId;
  access: RouteAccess;
  query: z.ZodMiniType | null;
  handle(services: HttpServices, request: PageRequest<unknown>, ctx: Context): Promise<PageAnswer | undefined>;
}

interface PageDefinition<Q extends z.ZodMiniType | undefined> extends Pick<UiRoute, 'path' | 'id'> {
  method?: UiRoute['method'];
  /** Fields that are empty are left out before: forms send all of theirs. */
  query?: Q;
  handle(
    services: HttpServices,
    request: PageRequest<Q extends z.ZodMiniType ? z.infer<Q> : undefined>,
    ctx: Context,
  ): Promise<PageAnswer | undefined>;
}

/** Ties a page's types to its schema. */
export function page<Q extends z.ZodMiniType | undefined = undefined>(definition: PageDefinition<Q>): UiRoute {
  return {
    ...definition,
    method: definition.method ?? 'get',
    access: UI_SCOPES[definition.id],
    query: definition.query ?? null,
    handle: definition.handle as UiRoute['handle'],
  };
}
