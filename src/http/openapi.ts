import * as z from 'zod/mini';
import { Problem } from '../api/problem.ts';
import { codesOf, errorStatuses, statusText } from './problem.ts';
import type { Route } from './route.ts';
import { accessText, type RouteAccess } from './route-scopes.ts';

type Document = Record<string, unknown>;

/** OpenAPI 3.1 from the routes, whose schemas are those that validate. */
export function openApi(routes: readonly Route[], version: string, serverUrl: string): Document {
  const paths: Record<string, Document> = {};
  for (const route of routes) {
    const item = paths[route.path] ?? {};
    paths[route.path] = item;
    item[route.method] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'artifact-store',
      version,
      description: 'Content-addressed preservation of generated artifacts. Errors are RFC 9457 problem documents.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: serverUrl }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: jsonSchema(Problem, 'output') },
    },
  };
}

function operation(route: Route): Document {
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    description: `Needs: ${accessText(route.access)}.`,
    security: securityOf(route.access),
    parameters: [...pathParameters(route.path), ...(route.query ? queryParameters(route.query) : [])],
    ...(route.body === null ? {} : { requestBody: requestBody(route.body) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, schema]) => [status, answer(Number(status), schema)]),
      ),
      default: {
        description: `A problem; codes by status: ${problemCodes()}`,
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

/** The scopes stand as OpenAPI 3.1 lets roles stand; one of several will do. */
function securityOf(access: RouteAccess): Array<{ bearer: string[] }> {
  if (access === 'open' || access === 'signed') return [];
  return access === 'token' ? [{ bearer: [] }] : access.map((scope) => ({ bearer: [scope] }));
}

function problemCodes(): string {
  return errorStatuses()
    .map((status) => `${status} ${codesOf(status).join(', ')}`)
    .join('; ');
}

function pathParameters(path: string): Document[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(name === 'path' ? { description: 'the rest of the address, slashes included' } : {}),
  }));
}

function queryParameters(query: z.ZodMiniType): Document[] {
  const { properties = {}, required = [] } = jsonSchema(query, 'input') as {
    properties?: Record<string, Document>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function requestBody(body: z.ZodMiniType | 'bytes'): Document {
  if (body === 'bytes') return { required: true, content: { 'application/octet-stream': {} } };
  const optional = body.safeParse(undefined).success;
  return { required: !optional, content: { 'application/json': { schema: jsonSchema(body, 'input') } } };
}

function answer(status: number, schema: z.ZodMiniType | string): Document {
  if (typeof schema === 'string') return { description: schema };
  return {
    description: statusText(status),
    content: { 'application/json': { schema: jsonSchema(schema, 'output') } },
  };
}

function jsonSchema(schema: z.ZodMiniType, io: 'input' | 'output'): Document {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    // Answers may gain fields.
    override: ({ jsonSchema: node }) => {
      if (io === 'output' && node.additionalProperties === false) delete node.additionalProperties;
    },
  }) as Document;
  return rest;
}
