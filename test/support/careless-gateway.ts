import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { GetObjectCommand, PutObjectCommand, type S3ServiceException, UploadPartCommand } from '@aws-sdk/client-s3';
import { type S3Server, s3Client } from './s3-server.ts';

/**
 * A way to a real S3 server that does not hold a body to its signed hash, or a read to its signed range: what is asked is
 * done under the server's own key.
 */
export interface CarelessGateway {
  endpoint: string;
  /** False: it passes everything on as it came, and all is well. */
  careless: boolean;
  /** Of a range that was signed it gives all of the object when If-Range says so (RFC 9110), and is careful otherwise. */
  liftsRanges: boolean;
  /** These are answered with 503, and not passed on: `METHOD /path?query`. */
  failing: (request: string) => boolean;
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
    const wrongBody = isHash && body.length > 0 && hash('sha256', body, 'hex') !== signed;
    const ranged = method === 'GET' && /[?&]X-Amz-SignedHeaders=[^&]*range/.test(url);
    if (gateway.failing(`${method} ${url}`)) return outgoing.writeHead(503).end();
    if (gateway.liftsRanges && ranged && headers['if-range'] !== undefined) {
      return giveAnyway(url, undefined, outgoing).catch((error) => refuse(error, outgoing));
    }
    if (gateway.careless && (wrongBody || ranged)) {
      const answer = wrongBody ? takeAnyway(url, body, outgoing) : giveAnyway(url, headers.range, outgoing);
      return answer.catch((error) => refuse(error, outgoing));
    }
    // With the Host that it came with, which is signed.
    const passed = request({ hostname, port, method, path: url, headers }, (answer: IncomingMessage) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    passed.end(body);
  });

  async function giveAnyway(url: string, range: string | undefined, outgoing: ServerResponse): Promise<void> {
    const { Body, ContentRange } = await client.send(new GetObjectCommand({ ...objectOf(url), Range: range }));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? '');
    outgoing.writeHead(range === undefined ? 200 : 206, ContentRange ? { 'content-range': ContentRange } : {});
    outgoing.end(bytes);
  }

  async function takeAnyway(url: string, body: Buffer, outgoing: ServerResponse): Promise<void> {
    const { searchParams } = new URL(url, 'http://here');
    const object = { ...objectOf(url), Body: body };
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
    careless: true,
    liftsRanges: false,
    failing: () => false,
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

function refuse(error: unknown, outgoing: ServerResponse): void {
  const { name, $metadata } = error as S3ServiceException;
  outgoing.writeHead($metadata.httpStatusCode ?? 500).end(`<Error><Code>${name}</Code></Error>`);
}

function objectOf(url: string): { Bucket: string; Key: string } {
  const [, Bucket = '', ...names] = decodeURIComponent(new URL(url, 'http://here').pathname).split('/');
  return { Bucket, Key: names.join('/') };
}
