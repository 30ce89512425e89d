import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import pg from 'pg';

/** A statement that is about to be sent to PostgreSQL, a request that is being sent to storage, or storage's answer to it. */
export interface RemoteEffect {
  kind: 'statement' | 'request' | 'answer';
  /** As in `GET /bucket/key?query`; null of a statement. */
  asked: string | null;
}

/**
 * Tells what this process does elsewhere, for whom. @param current for whom the code that runs now works; what is for
 * nobody is not told @param effect called before it happens, and before its answer is read
 */
export function watchRemoteEffects<Whom>(
  current: () => Whom | undefined,
  effect: (whom: Whom, what: RemoteEffect) => void,
): void {
  const sent = new WeakMap<ClientRequest, Whom>();
  const asked = ({ method, path }: ClientRequest) => `${method} ${path}`;
  subscribe('http.client.request.start', (message) => {
    const { request } = message as { request: ClientRequest };
    const whom = current();
    if (whom === undefined) return;
    sent.set(request, whom);
    effect(whom, { kind: 'request', asked: asked(request) });
  });
  subscribe('http.client.response.finish', (message) => {
    const { request } = message as { request: ClientRequest };
    const whom = sent.get(request);
    if (whom !== undefined) effect(whom, { kind: 'answer', asked: asked(request) });
  });
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function watched(this: pg.Client, ...args: never[]) {
    const whom = current();
    if (whom !== undefined) effect(whom, { kind: 'statement', asked: null });
    return query.apply(this, args as never);
  } as typeof query;
}
