import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestStatehub {
  url: string;
  /** Every request, in order. */
  received: Array<{ method: string | undefined; path: string | undefined; headers: string; body: string }>;
  close(): Promise<void>;
}

/** A Statehub on a free port that answers with each status in turn, then with the last one for ever. */
export async function startStatehub(
  statuses: readonly number[] = [201],
  headers: Record<string, string> = {},
): Promise<TestStatehub> {
  const received: TestStatehub['received'] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url: path, rawHeaders } = request;
    received.push({ method, path, headers: rawHeaders.join('\n'), body: Buffer.concat(chunks).toString() });
    response.writeHead(statuses[Math.min(received.length, statuses.length) - 1] ?? 500, headers).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
