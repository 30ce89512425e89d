import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedRequest {
  method: string;
  url: string;
  /** `CompleteMultipartUpload`, `ListParts` … as far as the tests tell them apart. */
  operation: 'complete' | 'list_parts' | 'abort' | 'delete' | 'other';
  body: string;
}

export interface ScriptedAnswer {
  status: number;
  body?: string;
  headers?: Record<string, string>;
  /** The connection closes after the body, whatever length the headers promise. */
  breakOff?: boolean;
}

/** An S3 server that answers as it is told to, for answers that no real one can be made to give; it remembers requests. */
export interface ScriptedS3 {
  endpoint: string;
  requests: ScriptedRequest[];
  close(): Promise<void>;
}

/** @param answer null: the connection is reset */
export async function startScriptedS3(
  answer: (request: ScriptedRequest) => ScriptedAnswer | null,
): Promise<ScriptedS3> {
  const requests: ScriptedRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request = { ...describe(incoming), body: Buffer.concat(chunks).toString() };
      requests.push(request);
      const told = answer(request);
      if (told === null) {
        incoming.socket.resetAndDestroy();
        return;
      }
      response.writeHead(told.status, { 'content-type': 'application/xml', ...told.headers });
      if (told.breakOff) response.write(told.body ?? '', () => incoming.socket.destroy());
      else response.end(told.body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function describe({ method = '', url = '' }: IncomingMessage): Omit<ScriptedRequest, 'body'> {
  const upload = new URL(url, 'http://here').searchParams.has('uploadId');
  const operations = { POST: 'complete', GET: 'list_parts', DELETE: 'abort' } as const;
  const operation = upload
    ? (operations[method as keyof typeof operations] ?? 'other')
    : method === 'DELETE'
      ? 'delete'
      : 'other';
  return { method, url, operation };
}
