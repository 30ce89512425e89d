import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:tls';

/** A server that answers at all answers at once: the request was already refused. */
const PATIENCE_MS = 3_000;

/** Whether the port of an `https:` URL speaks http, or the other way round. One short connection; nothing secret is sent. */
export async function speaksTheOther(url: string): Promise<boolean> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    if (protocol === 'https:') {
      const asked = request({ host, port: port || 443, method: 'HEAD', path: '/', signal, agent: false });
      asked.on('error', () => {});
      asked.end();
      await once(asked, 'response', { signal });
      asked.destroy();
    } else {
      const socket = connect({ host, port: Number(port) || 80, rejectUnauthorized: false });
      socket.on('error', () => {});
      await once(socket, 'secureConnect', { signal }).finally(() => socket.destroy());
    }
    return true;
  } catch {
    return false;
  }
}
