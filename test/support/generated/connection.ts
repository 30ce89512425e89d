import { connect, type Socket } from 'node:net';

/** An answer, as it came. */
export interface WireAnswer {
  status: number;
  /** By lower-case name. */
  headers: Map<string, string>;
  body: Buffer;
}

interface Waiting {
  isHead: boolean;
  resolve(answer: WireAnswer): void;
  reject(error: Error): void;
}

/**
 * One connection at a time, kept from request to request, that sends bytes as they are and notices what a library hides: answers that
 * nobody asked for, and connections that close without one.
 */
export class Connection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;
  #came = Buffer.alloc(0);
  #waiting: Waiting | null = null;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** @throws Error when no answer comes, or bytes came that are none */
  exchange(request: Buffer, isHead: boolean): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#came.length > 0) return reject(new Error(`an answer that nobody asked for: ${shown(this.#came)}`));
      this.#waiting = { isHead, resolve, reject };
      this.#socket ??= this.#open();
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
    this.#came = Buffer.alloc(0);
  }

  #open(): Socket {
    const socket = connect(this.#port, this.#host);
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      if (socket !== this.#socket) return;
      this.#came = this.#came.length === 0 ? bytes : Buffer.concat([this.#came, bytes]);
      this.#look(false);
    });
    // The service may close while something is sent that it does not want.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (socket !== this.#socket) return;
      this.#look(true);
      this.close();
      this.#take()?.reject(new Error('the connection was closed without an answer'));
    });
    return socket;
  }

  #take(): Waiting | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting;
  }

  #look(closed: boolean): void {
    if (this.#waiting === null) return;
    try {
      const read = readAnswer(this.#came, this.#waiting.isHead, closed);
      if (read === null) return;
      this.#came = this.#came.subarray(read.length);
      if (read.answer.status < 200) {
        this.#look(closed);
        return;
      }
      if (/\bclose\b/i.test(read.answer.headers.get('connection') ?? '')) this.close();
      this.#take()?.resolve(read.answer);
    } catch (error) {
      this.close();
      this.#take()?.reject(error as Error);
    }
  }
}

/** @returns null: more must come @throws Error for what is no answer */
function readAnswer(bytes: Buffer, isHead: boolean, closed: boolean): { answer: WireAnswer; length: number } | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no answer: ${shown(bytes)}`);
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const rest = bytes.subarray(end + 4);
  const found = bodyOf(rest, { status, headers, isHead, closed });
  return found === null ? null : { answer: { status, headers, body: found.body }, length: end + 4 + found.length };
}

interface Head {
  status: number;
  headers: Map<string, string>;
  isHead: boolean;
  closed: boolean;
}

/** RFC 9112, 6.3. */
function bodyOf(rest: Buffer, { status, headers, isHead, closed }: Head): { body: Buffer; length: number } | null {
  if (isHead || status < 200 || status === 204 || status === 304) return { body: Buffer.alloc(0), length: 0 };
  if (headers.get('transfer-encoding') === 'chunked') return chunksOf(rest);
  const said = headers.get('content-length');
  if (said === undefined) return closed ? { body: rest, length: rest.length } : null;
  const length = Number(said);
  return rest.length < length ? null : { body: rest.subarray(0, length), length };
}

function chunksOf(rest: Buffer): { body: Buffer; length: number } | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = rest.indexOf('\r\n', at);
    if (line === -1) return null;
    const size = Number.parseInt(rest.toString('latin1', at, line), 16);
    const next = line + 2 + size + 2;
    if (rest.length < next) return null;
    pieces.push(rest.subarray(line + 2, line + 2 + size));
    if (size === 0) return { body: Buffer.concat(pieces), length: next };
    at = next;
  }
}

function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 200));
}
