/** What a client sends over one connection, cut into what it asks for, one after the other. */

/** One HTTP request and its answer, or one SQL statement and its answer. */
export interface Exchange {
  /** Method and address; the statement. */
  what: string;
  /** Of PostgreSQL: the statements of the same transaction before it, in order. */
  before: readonly string[];
  /** All of it was passed on. */
  sent: boolean;
  /** The answer has begun. */
  answered: boolean;
}

/** Some bytes of one exchange. */
export interface Slice {
  exchange: Exchange;
  bytes: Buffer;
  /** How many bytes of the request's body came before these; null: these are not of a body. */
  offset: number | null;
  last: boolean;
}

/** @returns whole messages only: what is cut stays until its rest comes */
export type Framing = (chunk: Buffer) => Slice[];

const HEAD_END = '\r\n\r\n';

/** HTTP/1.1 with Content-Length, one request after the other (RFC 9112). @throws Error for a chunked body */
export function httpFraming(): Framing {
  let pending = Buffer.alloc(0);
  let body: { exchange: Exchange; size: number; offset: number } | null = null;
  return (chunk) => {
    const slices: Slice[] = [];
    pending = Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      if (body === null) {
        const end = pending.indexOf(HEAD_END);
        if (end === -1) break;
        const head = pending.toString('latin1', 0, end);
        if (/^transfer-encoding:/im.test(head)) throw new Error(`a body without a length: ${head}`);
        const size = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        const exchange = exchangeOf(head.slice(0, head.lastIndexOf(' ', head.indexOf('\r\n'))), []);
        const bytes = pending.subarray(0, end + HEAD_END.length);
        slices.push({ exchange, bytes, offset: null, last: size === 0 });
        pending = pending.subarray(bytes.length);
        if (size > 0) body = { exchange, size, offset: 0 };
      } else {
        const { exchange, size, offset }: NonNullable<typeof body> = body;
        const bytes = pending.subarray(0, size - offset);
        body.offset += bytes.length;
        const last = body.offset === size;
        slices.push({ exchange, bytes, offset, last });
        pending = pending.subarray(bytes.length);
        if (last) body = null;
      }
    }
    return slices;
  };
}

/** PostgreSQL's protocol 3 without TLS: a statement is a Query, or a Parse with what follows it up to Sync. */
export function postgresFraming(): Framing {
  let pending = Buffer.alloc(0);
  let started = false;
  let transaction: string[] = [];
  let exchange = exchangeOf('(start)', []);
  return (chunk) => {
    const slices: Slice[] = [];
    pending = Buffer.concat([pending, chunk]);
    while (true) {
      // The first message has no type.
      const typed = started ? 1 : 0;
      if (pending.length < typed + 4) break;
      const length = typed + pending.readInt32BE(typed);
      if (pending.length < length) break;
      const bytes = pending.subarray(0, length);
      const type = started ? String.fromCharCode(bytes[0] as number) : '';
      pending = pending.subarray(length);
      started = true;
      const sql = statementOf(type, bytes);
      if (sql !== null) {
        if (/^begin/i.test(sql)) transaction = [];
        exchange = exchangeOf(sql, transaction);
        transaction = [...transaction, sql];
      }
      slices.push({ exchange, bytes, offset: null, last: !'PBDECFH'.includes(type) || type === '' });
    }
    return slices;
  };
}

function statementOf(type: string, message: Buffer): string | null {
  if (type === 'Q') return message.toString('utf8', 5, message.length - 1);
  if (type !== 'P') return null;
  const start = message.indexOf(0, 5) + 1;
  return message.toString('utf8', start, message.indexOf(0, start));
}

function exchangeOf(what: string, before: readonly string[]): Exchange {
  return { what, before, sent: false, answered: false };
}
