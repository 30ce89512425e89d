import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** What went through a proxy: a request to an `http:` URL, or a tunnel for one to `https:`. */
export interface Proxied {
  kind: 'request' | 'tunnel';
  method: string;
  /** Of a tunnel `host:port`. */
  target: string;
  authorization: string | undefined;
}

export interface ForwardProxy {
  url: string;
  seen: Proxied[];
  /** Answers a tunnel or a request so, instead of passing it on; null: it is passed on. */
  refuse: number | null;
  close(): Promise<void>;
}

/**
 * A forward proxy (RFC 9110, 7.3.1 and 9.3.6) as companies have them, which alone knows the hosts that it leads to.
 * @param ports `host:port` → the port of loopback where it is
 */
export async function startForwardProxy(ports: Record<string, number>): Promise<ForwardProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    proxy.seen.push({ kind: 'request', method, target: url, authorization: headers['proxy-authorization'] });
    const { host, pathname, search } = new URL(url);
    const port = ports[host];
    if (proxy.refuse !== null || port === undefined) {
      incoming.resume();
      outgoing.writeHead(proxy.refuse ?? 502, { 'content-type': 'text/html' }).end('<html><h1>proxy</h1></html>');
      return;
    }
    const passed = request({ host: '127.0.0.1', port, method, path: pathname + search, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', ({ url: target = '', headers }, client: Socket) => {
    proxy.seen.push({ kind: 'tunnel', method: 'CONNECT', target, authorization: headers['proxy-authorization'] });
    client.on('error', () => client.destroy());
    const port = ports[target];
    if (proxy.refuse !== null || port === undefined) {
      client.end(`HTTP/1.1 ${proxy.refuse ?? 502} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(upstream).pipe(client);
    });
    upstream.on('error', () => client.destroy());
    sockets.add(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: ForwardProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    refuse: null,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}
