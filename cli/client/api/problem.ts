import { ERROR_TABLE, type ErrorCode, type ErrorExtras } from '../../../src/core/errors.ts';
import { ApiError, CliError, EXIT } from '../../errors.ts';
import { formatBytes } from '../../format.ts';
import { notAStore } from './not-a-store.ts';

/** An answer with an error status. */
export interface Refusal {
  status: number;
  /** What its body begins with. */
  body: string;
  /** What was asked: `POST /v1/packages`, `Part 3 of "a.bin"`. */
  what: string;
  url: string;
  who: 'service' | 'storage';
  /** Bytes that the request had. */
  sent?: number;
  /** The header. */
  retryAfter?: string | undefined;
}

const DETAIL_MAX = 2_000;
const QUOTED_MAX = 200;
const EXTRAS_DEPTH = 8;

/** What an error status means: a problem document of ours, S3's, or an answer of something in between. */
export function problemOf(refusal: Refusal): ApiError | CliError {
  const problem =
    serviceProblem(refusal) ??
    storageProblem(refusal) ??
    proxyProblem(refusal) ??
    strangersProblem(refusal) ??
    unknownProblem(refusal);
  if (problem instanceof ApiError) problem.retryAfterMs = parseRetryAfter(refusal.retryAfter, Date.now());
  return problem;
}

/** `Retry-After` (RFC 9110, 10.2.3), seconds or a date, as ms from `now` on; null: there is none, or it cannot be read. */
export function parseRetryAfter(text: string | undefined, now: number): number | null {
  if (text === undefined) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  // A date is of letters: anything else Date.parse reads in ways of its own.
  const at = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** RFC 9457, as the service writes it. Codes that this version does not know are passed on. */
function serviceProblem({ status, body }: Refusal): ApiError | null {
  const problem = parseObject(body);
  if (problem === null || typeof problem.detail !== 'string' || typeof problem.code !== 'string') return null;
  const { code, detail, type: _type, title: _title, status: _status, ...extras } = problem;
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(code)) return null;
  return new ApiError(code as ErrorCode, status, oneLine(detail, DETAIL_MAX), checkedExtras(extras));
}

/** S3's own error document: it means what our part URLs mean by it, or that storage is not as it should be. */
function storageProblem({ status, body, what }: Refusal): ApiError | null {
  const storageCode = /<Code>([A-Za-z]{1,100})<\/Code>/.exec(body)?.[1];
  if (storageCode === undefined) return null;
  const code = storageCode === 'NoSuchUpload' ? 'upload_closed' : 'unavailable';
  const detail = `${what} was answered by the storage with ${status} ${storageCode}.`;
  return new ApiError(code, status, detail, { storage_code: storageCode });
}

/** The service and S3 say themselves what is wrong: these statuses without that are from something before them. */
function proxyProblem({ status, what, url, who, sent }: Refusal): ApiError | CliError | null {
  const { origin } = new URL(url);
  const between = `A proxy between here and ${origin}`;
  if (status === 413) {
    const size = sent === undefined ? '' : ` above the ${formatBytes(sent)} of this request`;
    const advice = `raise its limit on bodies (nginx: client_max_body_size)${size}, or bypass it (NO_PROXY) if it is one of HTTP_PROXY`;
    return new ApiError('body_too_large', status, `${between} refused ${what} as too large (413): ${advice}.`);
  }
  if (status === 407) return proxyLogin(origin);
  if (status === 502 || status === 503 || status === 504) {
    const detail = `${between} answered ${what} with ${status}: it gets no answer from the ${who}.`;
    return new ApiError(
      'unavailable',
      status,
      `${detail} Check that the ${who} is running, and read the log of the proxy.`,
    );
  }
  return null;
}

/** A proxy of the environment that lets nobody through without a login. */
export function proxyLogin(origin: string): CliError {
  return new CliError(`The proxy on the way to ${origin} asks for a user and a password (407).`, {
    exit: EXIT.unreachable,
    code: 'unreachable',
    next: 'Put them into its variable: HTTP_PROXY or HTTPS_PROXY=http://user:password@host:port.',
    extras: { url: origin },
  });
}

/** With which a server says that it does not have what was asked. */
const HAS_NOT: readonly number[] = [404, 405, 410, 501];

/** The service says in a problem document which of its things is not there. To HEAD nobody can. */
function strangersProblem({ status, what, url, who }: Refusal): CliError | null {
  if (who !== 'service' || !HAS_NOT.includes(status) || what.startsWith('HEAD ')) return null;
  return notAStore(url, `it answered ${what} with ${status}`);
}

function unknownProblem({ status, body, what }: Refusal): ApiError {
  const known = (Object.keys(ERROR_TABLE) as ErrorCode[]).find((code) => ERROR_TABLE[code].status === status);
  // Markup is for browsers, and says less than the status.
  const quoted = body.includes('<') ? '' : oneLine(body, QUOTED_MAX);
  const detail = `${what} was answered with ${status}${quoted === '' ? '' : `: ${quoted}`}`;
  return new ApiError(status >= 500 ? 'internal' : (known ?? 'internal'), status, detail);
}

function oneLine(text: string, max: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= max ? line : `${line.slice(0, max)}…`;
}

/** Fields beside the known ones are passed on if they can be printed: what nests deeply cannot. */
function checkedExtras({ path, digest, errors, ...others }: Record<string, unknown>): ErrorExtras {
  const shallow = Object.entries(others).filter(([, value]) => depthWithin(value, EXTRAS_DEPTH));
  const fields = Array.isArray(errors) ? errors.filter(isFieldError) : [];
  return {
    ...Object.fromEntries(shallow),
    ...(typeof path === 'string' ? { path } : {}),
    ...(typeof digest === 'string' ? { digest } : {}),
    ...(fields.length > 0 ? { errors: fields } : {}),
  };
}

function isFieldError(value: unknown): value is { field: string; message: string } {
  const { field, message } = (value ?? {}) as Record<string, unknown>;
  return typeof field === 'string' && typeof message === 'string';
}

function depthWithin(value: unknown, left: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return left > 0 && Object.values(value).every((member) => depthWithin(member, left - 1));
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
