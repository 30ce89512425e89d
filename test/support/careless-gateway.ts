import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { type S3Server, s3Client } from './s3-server.ts';

/** A way to a real S3 server that does not hold a body to its signed hash: what comes is stored under the server's own key. */
export interface CarelessGateway {
  endpoint: string;
  /** Changes the bytes of every PUT on the way. */
  spoil: boolean;
  /** `METHOD /path?query`, in order. */
  seen: string[];
  close(): Promise<void>;
}

export async function startCarelessGateway(target: S3Server): Promise<CarelessGateway> {
  const { hostname, port } = new URL(target.endpoint);
  const client = s3Client(target);
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    gateway.seen.push(`${method} ${url}`);
    const body = await buffer(incoming);
    const signed = headers['x-amz-content-sha256'];
    if (gateway.spoil && method === 'PUT' && body.length > 0) body[0] = (body[0] as number) ^ 1;
    const isHash = method === 'PUT' && /^[0-9a-f]{64}$/.test(String(signed));
    if (isHash && body.length > 0 && hash('sha256', body, 'hex') !== signed) return takeAnyway(url, body, outgoing);
    // With the Host that it came with, which is signed.
    const passed = request({ hostname, port, method, path: url, headers }, (answer: IncomingMessage) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    passed.end(body);
  });

  async function takeAnyway(url: string, body: Buffer, outgoing: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(url, 'http://here');
    const [, Bucket = '', ...names] = decodeURIComponent(pathname).split('/');
    const object = { Bucket, Key: names.join('/'), Body: body };
    const UploadId = searchParams.get('uploadId');
    const PartNumber = Number(searchParams.get('partNumber'));
    const { ETag } =
      UploadId === null
        ? await client.send(new PutObjectCommand(object))
        : await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber }));
    outgoing.writeHead(200, { etag: ETag ?? '' }).end();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gateway: CarelessGateway = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spoil: false,
    seen: [],
    async close() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return gateway;
}
