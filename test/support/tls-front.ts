import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface OwnCa {
  /** The CA's certificate, PEM: for NODE_EXTRA_CA_CERTS. */
  file: string;
  /** Of a server of these names, signed by the CA. */
  sign(names: readonly string[]): Promise<{ key: string; cert: string }>;
}

/** A certificate authority of a test's own, as companies have them; openssl makes it. @param folder a private one */
export async function ownCa(folder: string): Promise<OwnCa> {
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=a CA of tests',
  );
  return {
    file: join(folder, 'ca.pem'),
    async sign(names) {
      const subject = names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',');
      await writeFile(join(folder, 'names'), `subjectAltName=${subject}\n`);
      await openssl('req', ...ec, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=a server of tests');
      const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '2'];
      await openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signing);
      const read = (name: string) => readFile(join(folder, name), 'utf8');
      return { key: await read('server.key'), cert: await read('server.pem') };
    },
  };
}

export interface TlsFront {
  url: string;
  port: number;
  close(): Promise<void>;
}

/** HTTPS before a service that speaks http, as a reverse proxy is. */
export async function startTlsFront(target: string, pair: { key: string; cert: string }): Promise<TlsFront> {
  const server = createServer(pair, (incoming, outgoing) => {
    const { method, url = '', headers } = incoming;
    const passed = request(target + url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
