import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Exchange, Framing, Slice } from './exchanges.ts';

/**
 * Where in an exchange something happens: `asked`, before any of it is passed on (of HTTP: when its head has come); after
 * so many bytes of its body were passed on; `sent`, when all of it was; `answering`, when the server has answered and the
 * client was told nothing yet; after it was told so many bytes of the answer, head included.
 */
export type Point = 'asked' | { sent: number } | 'sent' | 'answering' | { told: number };

/** The connection on which it happens. */
export interface Link {
  exchange: Exchange;
  /** Ends both sides with RST. */
  reset(): void;
  /** Ends both sides with FIN, wherever they are. */
  cut(): void;
}

export interface Fault {
  point: Point;
  /** Is it this one's turn? Asked of every exchange that reaches the point. */
  of: (exchange: Exchange) => boolean;
  /** Nothing moves in this direction of this connection until it is done. */
  act: (link: Link) => unknown;
}

/** Stands between a client and a server, and makes a fault at an exact moment: nothing is decided by time. */
export interface FaultProxy {
  port: number;
  /** Everything that was asked, in order. */
  seen: Exchange[];
  /** Which exchanges pass in pieces of 1 KiB, one in each turn of the event loop. */
  slow: (exchange: Exchange) => boolean;
  /** Makes a fault, once. @returns its exchange, when `act` is done */
  once(fault: Fault): Promise<Exchange>;
  /** Makes it whenever its turn comes, until `clear`. */
  always(fault: Fault): void;
  /** No more faults. */
  clear(): void;
  close(): Promise<void>;
}

interface Target {
  host: string;
  port: number;
}

/** The connection is over, by a fault. */
class Ended extends Error {}

const SLOW_PIECE = 1_024;

/** @param framing how what clients send is read, for each connection anew */
export async function startFaultProxy(target: Target, framing: () => Framing): Promise<FaultProxy> {
  let faults: Fault[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    link(client, upstream);
  });

  function link(client: Socket, upstream: Socket): void {
    const cutUp = framing();
    let current: Exchange | undefined;
    let told = 0;
    const both = (end: (socket: Socket) => void): void => {
      end(client);
      end(upstream);
    };
    // Node keeps the handle of a connection for ever that is reset while it is being made, or after its end was sent.
    const reset = (): void =>
      both((socket) => (socket.connecting || socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()));
    const cut = (): void => both((socket) => socket.destroy());

    async function reach(exchange: Exchange, isAt: (point: Point) => boolean): Promise<void> {
      for (const fault of faults.filter(({ point, of }) => isAt(point) && of(exchange))) {
        if (faults.includes(fault)) await fault.act({ exchange, reset, cut });
        if (client.destroyed) throw new Ended();
      }
    }

    /** Passes bytes on that have `offset` others before them, and stops wherever a fault wants to know. */
    async function pass(to: Socket, bytes: Buffer, offset: number, way: 'sent' | 'told', of: Exchange): Promise<void> {
      const stops = faults.map(({ point }) => stopOf(point, way) - offset);
      let done = 0;
      for (const stop of stops.filter((at) => at > 0 && at <= bytes.length).toSorted((a, b) => a - b)) {
        await write(to, bytes.subarray(done, stop), proxy.slow(of));
        done = stop;
        await reach(of, (point) => stopOf(point, way) === offset + stop);
      }
      await write(to, bytes.subarray(done), proxy.slow(of));
    }

    async function up({ exchange, bytes, offset, last }: Slice): Promise<void> {
      if (exchange !== current) {
        current = exchange;
        told = 0;
        proxy.seen.push(exchange);
        await reach(exchange, (point) => point === 'asked');
      }
      await (offset === null ? write(upstream, bytes, false) : pass(upstream, bytes, offset, 'sent', exchange));
      if (!last) return;
      exchange.sent = true;
      await reach(exchange, (point) => point === 'sent');
    }

    async function down(bytes: Buffer): Promise<void> {
      if (current === undefined) return write(client, bytes, false);
      if (!current.answered) {
        current.answered = true;
        await reach(current, (point) => point === 'answering');
      }
      const before = told;
      told += bytes.length;
      await pass(client, bytes, before, 'told', current);
    }

    const failed = (error: unknown): void => {
      if (error instanceof Ended) return;
      // A gateway that was killed takes its connections with it.
      reset();
    };
    forward(client, upstream, async (chunk) => {
      for (const slice of cutUp(chunk)) await up(slice);
    }).catch(failed);
    forward(upstream, client, down).catch(failed);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    port: (server.address() as AddressInfo).port,
    seen: [],
    slow: () => false,
    once: ({ point, of, act }) =>
      new Promise((resolve, reject) => {
        const fault: Fault = {
          point,
          of,
          async act(at) {
            faults = faults.filter((each) => each !== fault);
            try {
              await act(at);
              resolve(at.exchange);
            } catch (error) {
              reject(error);
            }
          },
        };
        faults = [...faults, fault];
      }),
    always: (fault) => {
      faults = [...faults, fault];
    },
    clear: () => {
      faults = [];
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** Passes one side's bytes on, chunk after chunk, and its end. @throws when a side fails */
function forward(from: Socket, to: Socket, take: (chunk: Buffer) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let work: Promise<void> = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      from.pause();
      work = work.then(() => take(chunk));
      work.then(() => from.resume(), reject);
    });
    from.once('end', () => {
      work.then(() => {
        to.end();
        resolve();
      }, reject);
    });
    from.on('error', reject);
  });
}

async function write(to: Socket, bytes: Buffer, slowly: boolean): Promise<void> {
  const size = slowly ? SLOW_PIECE : bytes.length;
  for (let at = 0; at < bytes.length; at += size) {
    await new Promise<void>((resolve, reject) => {
      to.write(bytes.subarray(at, at + size), (error) => (error ? reject(error) : resolve()));
    });
    if (slowly) await turn();
  }
}

function stopOf(point: Point, way: 'sent' | 'told'): number {
  return typeof point === 'object' && way in point ? (point as Record<typeof way, number>)[way] : Number.NaN;
}
