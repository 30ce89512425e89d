import { APT } from './apt.ts';
import { CHANGES, type Draft, encode } from './changes.ts';
import type { Pool } from './pool.ts';
import type { Recipe } from './recipe.ts';
import { Ref } from './values.ts';

/** A request as it is sent. */
export interface WireRequest {
  method: string;
  target: string;
  headers: ReadonlyArray<readonly [string, string]>;
  /** Null: none is announced. */
  body: Buffer | null;
  /** Why it must be refused, whatever else it says; null: nothing is known. */
  ambiguous: string | null;
}

/** The request whose target may be a whole address (absolute form, RFC 9112, 3.2.2), with its path and query alone. */
export function inOriginForm(request: WireRequest): WireRequest {
  return { ...request, target: request.target.replace(/^https?:\/\/[^/?]*(?=\/)/i, '') };
}

/** Looks up what a recipe names, and spoils the request as it says. @param token that callers have; null: none is needed */
export function wireOf(recipe: Recipe, pool: Pool, token: string | null): WireRequest {
  const draft = draftOf(recipe, pool);
  if (token !== null) draft.headers.unshift(['authorization', `Bearer ${token}`]);
  for (const { what, at, value } of recipe.changes) CHANGES[what](draft, at, value);
  const { method, path, query, headers } = draft;
  const search =
    query.length === 0
      ? ''
      : `?${query.map(([name, value]) => (value === null ? name : `${name}=${value}`)).join('&')}`;
  const body = draft.bytes ?? (draft.json === undefined ? null : Buffer.from(JSON.stringify(draft.json)));
  // A second change may have undone the first.
  const ambiguous = recipe.changes.length === 1 ? draft.ambiguous : null;
  return { method, target: path + search, headers, body, ambiguous };
}

function draftOf({ operation, apt, params, query, body, chunked }: Recipe, pool: Pool): Draft {
  const found = apt === null ? undefined : APT[operation.id]?.(pool, apt);
  const resolved = found?.body ?? resolve(body, pool);
  const bytes = found?.bytes ?? (Buffer.isBuffer(resolved) ? resolved : undefined);
  const json = bytes === undefined ? resolved : undefined;
  const [path = '', search = ''] = (
    found?.target ?? pathOf(operation.path, { ...params, ...found?.params }, pool)
  ).split('?');
  const asked = found?.target === undefined ? Object.entries({ ...query, ...found?.query }) : [];
  const given = asked.filter(([, value]) => value !== undefined);
  const headers: Array<[string, string]> = Object.entries(found?.headers ?? {}).filter(
    ([name]) => name !== 'content-length',
  );
  if (json !== undefined) headers.push(['content-type', 'application/json']);
  if (chunked && (json !== undefined || bytes !== undefined)) headers.push(['transfer-encoding', 'chunked']);
  return {
    method: operation.method,
    path,
    query: [
      ...search
        .split('&')
        .filter((pair) => pair !== '')
        .map((pair) => pair.split('=') as [string, string]),
      ...given.map(([name, value]): [string, string] => [encode(name), encode(String(resolve(value, pool)))]),
    ],
    parameters: operation.inQuery.map(({ name }) => name),
    headers,
    json,
    bytes,
    ambiguous: null,
  };
}

function pathOf(template: string, params: Record<string, unknown>, pool: Pool): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name) => {
    const value = encode(String(resolve(params[name], pool)));
    return name === 'path' ? value.replaceAll('%2F', '/') : value;
  });
}

const NOTHING = '0'.repeat(32);

function resolve(value: unknown, pool: Pool): unknown {
  if (value instanceof Ref) {
    if (value.kind === 'content') return pool.content(value.nth).digest;
    if (value.kind === 'size') return pool.content(value.nth).size;
    if (value.kind === 'bytes') return pool.bytesOf(pool.content(value.nth).digest);
    const found = pool.pick(value.kind as never, value.nth) ?? NOTHING;
    return typeof found === 'string' ? found : Object.values(found).at(-1);
  }
  if (Array.isArray(value)) return value.map((each) => resolve(each, pool));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, resolve(each, pool)]));
}

/** With the headers that every request needs, if it does not have them. */
export function bytesOfRequest({ method, target, headers, body }: WireRequest, host: string): Buffer {
  const names = new Set(headers.map(([name]) => name));
  const chunked = names.has('transfer-encoding');
  const all = [
    ...(names.has('host') ? [] : [['host', host] as const]),
    ...headers,
    ...(body === null || chunked || names.has('content-length')
      ? []
      : [['content-length', String(body.length)] as const]),
  ];
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const bytes = body ?? Buffer.alloc(0);
  const sent = chunked ? chunksOf(bytes) : bytes;
  return Buffer.concat([Buffer.from(head, 'latin1'), sent]);
}

function chunksOf(body: Buffer): Buffer {
  const pieces = [body.subarray(0, 3), body.subarray(3)].filter(({ length }) => length > 0);
  return Buffer.concat([
    ...pieces.flatMap((piece) => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ]);
}
