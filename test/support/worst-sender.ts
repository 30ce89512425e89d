import { request } from 'node:http';
import { parentPort } from 'node:worker_threads';
import { MANY_PARTS, WORST_BODIES, type Worst } from './worst-bodies.ts';

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

if (MANY_PARTS > 0) {
  parentPort?.on('message', async ({ index, url, id, upload }: ToSender) => {
    const worst = WORST_BODIES[index] as Worst;
    const path = worst.path.replace('{id}', id).replace('{upload}', upload);
    parentPort?.postMessage(await send(worst, url + path));
  });
}
