import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** A thread of clients that are as slow as they are let: whoever is cut off comes again. */
export interface SlowSenders {
  url: string;
  connections: number;
  /** Of an open package, and of one with a large file `large`. */
  open: string;
  stored: string;
}

const { url, connections, open, stored } = workerData as SlowSenders;
const { hostname, port, host } = new URL(url);
const DRIP_MS = 500;
const sockets: Socket[] = [];
let begun = 0;
let cutOff = 0;
let stopped = false;

/** What each kind sends at once, and then a byte at a time; null: nothing more. */
const KINDS: ReadonlyArray<() => { head: string; drip: string | null; reads: boolean }> = [
  () => ({ head: '', drip: null, reads: true }),
  () => ({ head: `GET /v1/limits HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `, drip: 'x', reads: true }),
  () => ({
    head: `POST /v1/packages/${open}/files HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 30000\r\n\r\n{`,
    drip: ' ',
    reads: true,
  }),
  () => ({
    head: `PUT /v1/packages/${open}/files/${randomUUID()} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 30000\r\n\r\n`,
    drip: 'x',
    reads: true,
  }),
  () => ({
    head: `GET /v1/packages/${stored}/files/large HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    drip: null,
    reads: false,
  }),
];

function begin(nth: number): void {
  begun += 1;
  const { head, drip, reads } = (KINDS[nth % KINDS.length] as (typeof KINDS)[number])();
  const socket = connect(Number(port), hostname);
  sockets[nth] = socket;
  if (reads) socket.resume();
  else socket.pause();
  socket.on('error', () => {});
  socket.write(head);
  const timer = drip === null ? undefined : setInterval(() => socket.write(drip), DRIP_MS);
  socket.once('close', () => {
    clearInterval(timer);
    if (stopped) return;
    cutOff += 1;
    begin(nth);
  });
}

for (let nth = 0; nth < connections; nth += 1) begin(nth);
parentPort?.once('message', () => {
  stopped = true;
  for (const socket of sockets) socket.destroy();
  parentPort?.postMessage({ begun, cutOff });
});
