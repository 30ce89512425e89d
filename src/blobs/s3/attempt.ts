import type { Agent } from 'node:http';
import type { Trial } from './guarantees.ts';
import { type Answer, type OutgoingRequest, send } from './send.ts';

/** How long a probe waits for one answer. */
const PATIENCE_MS = 15_000;

/** How a signed request is spoilt. */
export interface Attack {
  method?: string;
  /** Undefined: none. Left out: the right one. */
  body?: Uint8Array | undefined;
  headers?: Record<string, string>;
  /** Headers left out. */
  without?: string[];
  expiresAt?: number;
}

export interface Attempt extends Answer {
  /** Why no answer came. */
  reason: string;
}

/** Sends a signed request once, as the attack spoils it. Never throws: that no answer came is an outcome too. */
export async function attempt(
  request: OutgoingRequest,
  right: Uint8Array,
  { agent, signal }: { agent: Agent; signal: AbortSignal },
  attack: Attack = {},
): Promise<Attempt> {
  const body = 'body' in attack ? attack.body : right;
  const headers: Record<string, string> = { ...request.headers, ...attack.headers };
  for (const name of attack.without ?? []) delete headers[name];
  if (body !== undefined) headers['content-length'] = String(body.length);
  try {
    const spoilt = { url: request.url, method: attack.method ?? request.method, headers };
    const options = { agent, signal, idleMs: PATIENCE_MS, ...(body === undefined ? {} : { body }) };
    const answer = await send(spoilt, options);
    return { ...answer, reason: '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
    return { status: 0, headers: {}, body: Buffer.alloc(0), reason };
  }
}

export function trialOf(answer: Attempt | undefined, stored: Trial['stored']): Trial {
  const { status = 0, body = Buffer.alloc(0) } = answer ?? {};
  const code = status >= 400 ? (/<Code>([^<]{1,100})<\/Code>/.exec(body.toString())?.[1] ?? '') : '';
  return { status, code, stored };
}

/** Whether a read that was to be refused gave bytes. */
export function leaked({ status }: Attempt): Trial['stored'] {
  return status >= 200 && status < 300 ? 'other' : 'nothing';
}

export function headerOf({ headers }: Attempt, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
