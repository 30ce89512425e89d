import type { Context } from 'koa';
import type * as z from 'zod/mini';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { EvidenceTokens } from '../core/evidence-token.ts';
import type { Limits } from '../core/limits.ts';
import type { CrcTables } from '../usecases/crc-tables.ts';
import type { Surroundings } from '../usecases/diagnose.ts';
import type { Caller, Services } from '../usecases/services.ts';
import { type Bounds, FEW_FIELDS, type JsonBoundOf } from './bounds.ts';
import type { CursorCodec } from './cursor.ts';
import { type OperationId, ROUTE_SCOPES, type RouteAccess } from './route-scopes.ts';
import type { SignedBytes } from './signed-bytes.ts';
import type { Transfers } from './transfers.ts';

/** What handlers work with beside the request. */
export interface HttpServices extends Services<BlobStore> {
  cursors: CursorCodec;
  limits: Limits;
  bounds: Bounds;
  version: string;
  /** What stands in the addresses of evidence. */
  evidence: EvidenceTokens;
  /** Only when this service itself serves signed URLs: the local folder. */
  signedBytes: SignedBytes;
  surroundings: Surroundings;
  /** Of archives that were read last. */
  crcTables: CrcTables;
  archivesUnderWay: Transfers;
}

/** A validated request. */
export interface Request<Query, Body> {
  /** Path parameters, percent-decoded and valid UTF-8; `path` may hold slashes. */
  params: Record<string, string>;
  query: Query;
  body: Body;
  caller: Caller;
  /** The operation's id: cursors are good for the list that gave them only. */
  operationId: string;
  /** Of an open route: whether this caller is told what strangers are not, once tokens are in use. */
  isTold(): Promise<boolean>;
}

/** Answered as JSON; a handler that streams bytes sets the context itself and returns nothing. */
export type Answer = { status: number; body?: unknown; headers?: Record<string, string> };

/** One operation: what the router serves, what /openapi.json lists and docs/api.md is checked against. */
export interface Route {
  method: 'get' | 'post' | 'put' | 'delete';
  /** As OpenAPI writes it. A last `{path}` takes the rest of the address. */
  path: string;
  operationId: OperationId;
  summary: string;
  tag: 'Packages' | 'Uploads' | 'Retention and audit' | 'Proof' | 'Access' | 'Webhooks' | 'Operations' | 'Signed URLs';
  access: RouteAccess;
  query: z.ZodMiniType | null;
  body: z.ZodMiniType | 'bytes' | null;
  /** How large a JSON body may be. */
  json: JsonBoundOf;
  /** DELETE takes its fields in the query or in a JSON body. */
  bodyOrQuery: boolean;
  answers: Record<number, z.ZodMiniType | string>;
  handle(services: HttpServices, request: Request<unknown, unknown>, ctx: Context): Promise<Answer | undefined>;
}

type Parsed<T> = T extends z.ZodMiniType ? z.infer<T> : undefined;

interface RouteDefinition<Q extends z.ZodMiniType | undefined, B extends z.ZodMiniType | 'bytes' | undefined>
  extends Pick<Route, 'method' | 'path' | 'operationId' | 'summary' | 'tag' | 'answers'> {
  query?: Q;
  body?: B;
  /** A few fields, if it is left out. */
  json?: JsonBoundOf;
  bodyOrQuery?: boolean;
  handle(services: HttpServices, request: Request<Parsed<Q>, Parsed<B>>, ctx: Context): Promise<Answer | undefined>;
}

/** Ties a handler's types to its schemas. */
export function route<
  Q extends z.ZodMiniType | undefined = undefined,
  B extends z.ZodMiniType | 'bytes' | undefined = undefined,
>(definition: RouteDefinition<Q, B>): Route {
  return {
    ...definition,
    access: ROUTE_SCOPES[definition.operationId],
    query: definition.query ?? null,
    body: definition.body ?? null,
    json: definition.json ?? FEW_FIELDS,
    bodyOrQuery: definition.bodyOrQuery ?? false,
    handle: definition.handle as Route['handle'],
  };
}
