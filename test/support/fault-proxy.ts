import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What becomes of a request. `reset`: the connection breaks before any byte of it is passed on. `cutAfter`: it breaks
 * after so many bytes. `loseAnswer`: all of it is passed on, and the connection breaks when its answer begins. `slow`: it
 * is passed on in pieces of so many bytes, with a pause after each.
 */
export type Fault = 'pass' | 'reset' | 'loseAnswer' | { cutAfter: number } | { slow: number };

export interface FaultProxy {
  url: string;
  /** Asked for each HTTP request, by its first line, before it is passed on. */
  decide: (line: string) => Fault | Promise<Fault>;
  /** Told when the server behind does not take a connection. */
  refused: () => void;
  /** First lines of all requests so far. */
  seen: string[];
  close(): Promise<void>;
}

const REQUEST = /^(?:GET|HEAD|PUT|POST|DELETE) (\S+) HTTP\/1\.1\r\n/;
const PAUSE_MS = 2;

/** A TCP proxy before an HTTP server, that breaks connections at exact moments. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(Number(port), hostname);
    for (const socket of [client, behind]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
    new Passage(proxy, client, behind);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    decide: () => 'pass',
    refused: () => {},
    seen: [],
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

/** One connection. */
class Passage {
  readonly #proxy: FaultProxy;
  readonly #client: Socket;
  readonly #behind: Socket;
  #fault: Fault = 'pass';
  /** Bytes of the request that were passed on. */
  #passed = 0;

  constructor(proxy: FaultProxy, client: Socket, behind: Socket) {
    this.#proxy = proxy;
    this.#client = client;
    this.#behind = behind;
    behind.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') proxy.refused();
      this.#break();
    });
    client.on('error', () => this.#break());
    client.on('close', () => behind.destroy());
    behind.on('close', () => client.destroy());
    behind.on('data', (answer) => {
      if (this.#fault === 'loseAnswer') this.#break();
      else client.write(answer);
    });
    client.on('data', (bytes) => {
      client.pause();
      this.#pass(bytes).then(
        () => client.resume(),
        () => this.#break(),
      );
    });
  }

  async #pass(bytes: Buffer): Promise<void> {
    const line = REQUEST.exec(bytes.subarray(0, 4_000).toString('latin1'))?.[0];
    if (line !== undefined) {
      this.#proxy.seen.push(line);
      this.#passed = 0;
      this.#fault = await this.#proxy.decide(line.trim());
    }
    const fault = this.#fault;
    if (fault === 'reset') return this.#break();
    if (typeof fault === 'object' && 'slow' in fault) return this.#trickle(bytes, fault.slow);
    if (typeof fault === 'object' && this.#passed + bytes.length > fault.cutAfter) {
      this.#behind.write(bytes.subarray(0, fault.cutAfter - this.#passed));
      return this.#break();
    }
    this.#passed += bytes.length;
    this.#behind.write(bytes);
  }

  async #trickle(bytes: Buffer, piece: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += piece) {
      this.#behind.write(bytes.subarray(at, at + piece));
      await sleep(PAUSE_MS);
    }
  }

  /** As a peer that crashed: RST, not FIN. */
  #break(): void {
    this.#client.resetAndDestroy();
    this.#behind.destroy();
  }
}
