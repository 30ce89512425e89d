import { connect, type Socket } from 'node:net';

/** One answer, as it came. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** A connection on which anything can be said. */
export interface RawConnection {
  socket: Socket;
  /** Everything that came, when the service has closed the connection. */
  closed: Promise<string>;
}

export function openRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let came = '';
  socket.setEncoding('latin1').on('data', (text) => {
    came += text;
  });
  // That the service closes while something is written is what is looked for.
  socket.on('error', () => {});
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve(came))) };
}

/** Sends these bytes and waits until the service closes the connection. @returns the answers, in order */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer[]> {
  const { socket, closed } = openRaw(url);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return answersIn(await closed);
}

/** Answers with a Content-Length, or whose end is the connection's. */
export function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) throw new Error(`no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    const length = status < 200 ? 0 : Number(headers['content-length'] ?? rest.length);
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}
