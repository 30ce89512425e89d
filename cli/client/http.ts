import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { ERROR_TABLE, type ErrorCode, type ErrorExtras } from '../../src/core/errors.ts';
import { ApiError, CliError, EXIT } from '../errors.ts';

/** Connections kept open and used again; one pair for JSON calls and another for bytes, so that neither waits for the other. */
export interface Agents {
  http: HttpAgent;
  https: HttpsAgent;
}

export function newAgents(maxSockets: number): Agents {
  // Sockets that idle longer than the service keeps them would be used in the moment it closes them.
  const options = { keepAlive: true, maxSockets, timeout: 120_000, scheduling: 'lifo' } as const;
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

export function closeAgents(agents: Agents): void {
  agents.http.destroy();
  agents.https.destroy();
}

/** An answer with an error status as an ApiError; what is no problem document of ours still says its status. */
export function problemOf(status: number, body: string, what: string): ApiError {
  const problem = parseObject(body);
  if (problem && typeof problem.code === 'string' && typeof problem.detail === 'string') {
    const { code, detail, type: _type, title: _title, status: _status, ...extras } = problem;
    return new ApiError(code as ErrorCode, status, detail as string, extras as ErrorExtras);
  }
  const storageCode = /<Code>([A-Za-z]{1,100})<\/Code>/.exec(body)?.[1];
  if (storageCode !== undefined) {
    // S3's own error document: it means what our part URLs mean by it, or that storage is not as it should be.
    const code = storageCode === 'NoSuchUpload' ? 'upload_closed' : 'unavailable';
    const detail = `${what} was answered by the storage with ${status} ${storageCode}.`;
    return new ApiError(code, status, detail, { storage_code: storageCode });
  }
  const known = (Object.keys(ERROR_TABLE) as ErrorCode[]).find((code) => ERROR_TABLE[code].status === status);
  const shown = body.replace(/\s+/g, ' ').trim().slice(0, 200);
  const detail = `${what} was answered with ${status}${shown === '' ? '' : `: ${shown}`}`;
  return new ApiError(status >= 500 && status !== 503 ? 'internal' : (known ?? 'internal'), status, detail);
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

export function unreachable(url: string, cause: unknown): CliError {
  const { code, message } = cause as { code?: string; message?: string };
  return new CliError(`Cannot reach the service at ${url} (${code ?? message}).`, {
    exit: EXIT.unreachable,
    code: 'unreachable',
    next: 'Start one with `artifact-store serve`, name another with --url or ARTIFACT_STORE_URL, or use --local.',
    extras: { url },
    cause,
  });
}

/** Is this status one that may pass? */
export function mayPass(status: number): boolean {
  return status === 408 || status === 429 || status === 502 || status === 503 || status === 504;
}
