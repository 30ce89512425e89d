import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** A thread that sends a request in two halves: the second when it is told to, whatever the thread that tells it does. */
export interface HalfSender {
  port: number;
  first: string;
  second: string;
  /** [send the second half, it is on its way]. */
  flags: Int32Array<SharedArrayBuffer>;
}

const { port, first, second, flags } = workerData as HalfSender;
const socket = connect(port, '127.0.0.1');
let came = '';
socket.setEncoding('latin1').on('data', (text) => {
  came += text;
});
socket.on('error', () => {});
socket.once('close', () => parentPort?.postMessage(came));
socket.write(first, () => {
  Atomics.wait(flags, 0, 0);
  socket.write(second, () => {
    Atomics.store(flags, 1, 1);
    Atomics.notify(flags, 1);
  });
});
