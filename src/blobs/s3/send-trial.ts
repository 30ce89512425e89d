import type { Agent } from 'node:http';
import { type Answer, type OutgoingRequest, send } from './send.ts';
import type { Trial } from './trial.ts';

/** How long a probe waits for one answer. */
const PATIENCE_MS = 15_000;

/** How a trial spoils a signed request. */
export interface Spoiling {
  method?: string;
  /** Undefined: none. Left out: the right one. */
  body?: Uint8Array | undefined;
  headers?: Record<string, string>;
  /** Headers left out. */
  without?: string[];
  expiresAt?: number;
}

export interface TrialAnswer extends Answer {
  /** Why no answer came. */
  reason: string;
}

/** Sends a signed request once, as the trial spoils it. Never throws: that no answer came says something too. */
export async function sendTrial(
  request: OutgoingRequest,
  right: Uint8Array,
  { agent, signal }: { agent: Agent; signal: AbortSignal },
  spoiling: Spoiling = {},
): Promise<TrialAnswer> {
  const body = 'body' in spoiling ? spoiling.body : right;
  const headers: Record<string, string> = { ...request.headers, ...spoiling.headers };
  for (const name of spoiling.without ?? []) delete headers[name];
  if (body !== undefined) headers['content-length'] = String(body.length);
  try {
    const spoilt = { url: request.url, method: spoiling.method ?? request.method, headers };
    const options = { agent, signal, idleMs: PATIENCE_MS, ...(body === undefined ? {} : { body }) };
    const answer = await send(spoilt, options);
    return { ...answer, reason: '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
    return { status: 0, headers: {}, body: Buffer.alloc(0), reason };
  }
}

export function trialOf(answer: TrialAnswer | undefined, stored: Trial['stored']): Trial {
  const { status = 0, body = Buffer.alloc(0) } = answer ?? {};
  const code = status >= 400 ? (/<Code>([^<]{1,100})<\/Code>/.exec(body.toString())?.[1] ?? '') : '';
  return { status, code, stored };
}

/** Whether a read that was to be refused gave bytes. */
export function leaked({ status }: TrialAnswer): Trial['stored'] {
  return status >= 200 && status < 300 ? 'other' : 'nothing';
}

export function headerOf({ headers }: TrialAnswer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
