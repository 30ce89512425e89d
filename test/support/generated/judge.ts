import { readFileSync } from 'node:fs';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import { sha256 } from '../api.ts';
import type { WireAnswer } from './connection.ts';
import type { ApiDocument, Operation } from './document.ts';
import type { WireRequest } from './wire.ts';

/** By code, the status that docs/errors.md gives it. */
const CODES = new Map(
  [
    ...readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8').matchAll(
      /^\| `(\w+)` \| (\d{3}) \|/gm,
    ),
  ].map(([, code, status]) => [code, Number(status)]),
);

/** What is served beside the document: its pages, and what a method's name alone asks. */
const BESIDE = /^\/(?:openapi\.json|docs|docs\/errors|metrics)?(?:\?.*)?$/s;

/** What is wrong with an answer, in words; null: nothing. @param token that callers have; null: none is needed @param operation that was asked; null: none that is documented */
export function judge(
  { document, token }: { document: ApiDocument; token: string | null },
  operation: Operation | null,
  request: WireRequest,
  answer: WireAnswer,
): string | null {
  const { status, headers } = answer;
  if (status >= 500) return `answered ${status}: ${answer.body.toString().slice(0, 500)}`;
  if (!headers.has('x-request-id')) return 'has no X-Request-Id';
  if (status >= 400) {
    if (operation !== null && !operation.hasProblems) return `is not documented to answer ${status}`;
    return request.method === 'HEAD' ? null : problemWith(document, answer);
  }
  if (operation === null) {
    return request.method === 'OPTIONS' || BESIDE.test(request.target)
      ? null
      : `answered ${status}, and is not documented`;
  }
  if (request.ambiguous !== null) return `took ${request.ambiguous}`;
  if (token !== null && operation.needsToken && !hasToken(request, token)) return 'answered without a token';
  const check = operation.answers.get(status);
  if (check === undefined) return `is not documented to answer ${status}`;
  if (status === 304) return null;
  return wronglyAccepted(document, operation, request) ?? contentWith(request, answer, check);
}

function hasToken({ headers }: WireRequest, token: string): boolean {
  return headers.some(([name, value]) => name === 'authorization' && value === `Bearer ${token}`);
}

function problemWith({ isProblem }: ApiDocument, { status, headers, body }: WireAnswer): string | null {
  const type = headers.get('content-type');
  if (type !== 'application/problem+json') return `answered ${status} as ${type}`;
  const problem = parsed(body);
  if (!isProblem(problem)) return `is no problem document: ${explained(isProblem)}`;
  const { code, status: said, request_id } = problem as { code: string; status: number; request_id: string };
  if (CODES.get(code) !== status) return `answered ${status} ${code}, which docs/errors.md does not have`;
  if (said !== status) return `says ${said} and is ${status}`;
  return request_id === headers.get('x-request-id') ? null : 'has another request_id than X-Request-Id';
}

/** What the document forbids and the service took. */
function wronglyAccepted(document: ApiDocument, operation: Operation, request: WireRequest): string | null {
  const { body } = operation;
  const sent = request.body !== null && request.body.length > 0 ? request.body : null;
  if (body === null && sent !== null) return 'took a body that the document does not have';
  const inBody = body !== null && body !== 'bytes' && sent !== null;
  if (inBody && !body.check(parsed(sent))) return `took a body that the schema forbids: ${explained(body.check)}`;
  // DELETE takes its fields in the query instead.
  if (request.method === 'DELETE' && !inBody && body !== null) return null;
  if (body !== null && body !== 'bytes' && body.required && sent === null) return 'took no body, which is required';
  return queryTaken(document, operation, request.target);
}

function queryTaken(document: ApiDocument, { id, inQuery }: Operation, target: string): string | null {
  const search = target.includes('?') ? target.slice(target.indexOf('?') + 1) : '';
  if (!isUtf8Encoded(search)) return 'took a query that is not percent-encoded UTF-8';
  const query = new URLSearchParams(search);
  for (const name of new Set(query.keys())) {
    if (id === 'listPackages' && name.startsWith('metadata.')) continue;
    const parameter = inQuery.find((each) => each.name === name);
    if (parameter === undefined) return `took the parameter ${JSON.stringify(name)}, which the document does not have`;
    const values = query.getAll(name);
    if (values.length > 1) return `took ${name} twice`;
    if (!document.mayBe(parameter, values[0] as string))
      return `took ${name}=${JSON.stringify(values[0])}, which the schema forbids`;
  }
  const missing = inQuery.find(({ name, required }) => required && !query.has(name));
  return missing === undefined ? null : `did not ask for ${missing.name}, which is required`;
}

function isUtf8Encoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function contentWith(
  { method }: WireRequest,
  { status, headers, body }: WireAnswer,
  check: ValidateFunction | null,
): string | null {
  if (method === 'HEAD') return null;
  if (check !== null)
    return check(parsed(body)) ? null : `answered ${status} with what its schema forbids: ${explained(check)}`;
  const told = headers.get('repr-digest');
  if (told === undefined || status !== 200) return null;
  const real = `sha-256=:${Buffer.from(sha256(body).slice(7), 'hex').toString('base64')}:`;
  return told === real ? null : `sent other bytes than its Repr-Digest says: ${told}`;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

function explained({ errors }: ValidateFunction): string {
  const [first] = errors ?? [];
  return `${first?.instancePath} ${first?.message} ${JSON.stringify(first?.params)}`;
}
