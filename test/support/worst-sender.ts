import { request } from 'node:http';
import { parentPort } from 'node:worker_threads';
import { sendRaw } from './raw-http.ts';
import { WORST_BODIES, type Worst } from './worst-bodies.ts';

/** A thread that sends the worst bodies, one when it is told its number: what it costs to make them is not the service's. */
export interface ToSender {
  index: number;
  url: string;
  id: string;
  upload: string;
}
export interface FromSender {
  status: number;
  text: string;
}

/** What no library sends: each byte in a chunk of its own, thousands of them in a packet. */
async function sendBlanks({ method, headers, blanks = 0 }: Worst, url: string): Promise<FromSender> {
  const { host, pathname, search } = new URL(url);
  const lines = Object.entries({ host, connection: 'close', 'transfer-encoding': 'chunked', ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const chunks = `${'1\r\n \r\n'.repeat(blanks)}0\r\n\r\n`;
  const [answer] = await sendRaw(url, `${method} ${pathname}${search} HTTP/1.1\r\n${head}\r\n${chunks}`);
  return { status: answer?.status ?? 0, text: answer?.body ?? '' };
}

function send({ method, headers, body }: Worst, url: string): Promise<FromSender> {
  const bytes = body === undefined ? undefined : Buffer.from(body());
  return new Promise((resolve, reject) => {
    const length = bytes === undefined ? {} : { 'content-length': bytes.length };
    const sending = request(url, { method, headers: { ...headers, ...length } }, async (answer) => {
      const pieces: Buffer[] = [];
      for await (const piece of answer) pieces.push(piece as Buffer);
      resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(pieces).toString().slice(0, 500) });
    });
    sending.once('error', reject);
    sending.end(bytes);
  });
}

parentPort?.on('message', async ({ index, url, id, upload }: ToSender) => {
  const worst = WORST_BODIES[index] as Worst;
  const path = worst.path.replace('{id}', id).replace('{upload}', upload);
  parentPort?.postMessage(await (worst.blanks === undefined ? send : sendBlanks)(worst, url + path));
});
