import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedEvent {
  headers: Record<string, string>;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: asserted on, field by field
  json: any;
  /** What was answered; null: nothing yet. */
  status: number | null;
}

/** What a receiver does with a request: a status, or whatever it likes. */
export type Respond = (event: ReceivedEvent, response: ServerResponse) => number | undefined;

/** Whoever a webhook sends events to, on a free port of loopback. */
export interface Receiver {
  url: string;
  /** Every request, in order. */
  received: ReceivedEvent[];
  /** Those that were taken. */
  taken(): ReceivedEvent[];
  /** How the next requests are answered. */
  respond(how: Respond): void;
  /** When this is true of what was received. */
  until(holds: (received: readonly ReceivedEvent[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

export async function startReceiver(first: Respond = () => 204): Promise<Receiver> {
  const received: ReceivedEvent[] = [];
  const waiting = new Set<() => void>();
  let respond = first;
  const look = (): void => {
    for (const check of waiting) check();
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const event: ReceivedEvent = { headers: flat(request.headers), body, json: JSON.parse(body), status: null };
    received.push(event);
    const status = respond(event, response);
    if (status !== undefined) {
      event.status = status;
      response.writeHead(status).end();
    }
    look();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    received,
    taken: () => received.filter(({ status }) => status !== null && status < 300),
    respond(how) {
      respond = how;
    },
    until: (holds) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!holds(received)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
