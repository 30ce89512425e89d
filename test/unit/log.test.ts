import test from 'ava';
import { StoreError } from '../../src/core/errors.ts';
import { openLog } from '../../src/log.ts';

const SECRET = 'swordfish-4711';

/** What is logged, as it lies in the file. */
function logged(fields: object, message = 'm'): { text: string; line: Record<string, unknown> } {
  let text = '';
  const sink = {
    write: (line: string) => {
      text += line;
    },
  };
  openLog('trace', sink).error(fields, message);
  return { text, line: JSON.parse(text) };
}

function hidden(secret: string): RegExp {
  const bytes = Buffer.from(secret);
  const forms = [secret, bytes.toString('base64'), bytes.toString('hex'), [...bytes].join(',')];
  return new RegExp(forms.join('|'));
}

test('an error is told by an allow-list: type, message, code, stack and causes', (t) => {
  const cause = Object.assign(new RangeError('why'), { code: 'EIO', errno: -5, syscall: 'write', secret: SECRET });
  const error = Object.assign(new StoreError('unavailable', 'what', { digest: SECRET }, { cause }), {
    rawPacket: Buffer.from(SECRET),
    headers: { authorization: `Bearer ${SECRET}` },
    request: { body: SECRET },
    bindings: [SECRET],
  });
  const { text, line } = logged({ err: error, request_id: 'r' });
  t.like(line, {
    request_id: 'r',
    msg: 'm',
    err: {
      type: 'StoreError',
      code: 'unavailable',
      message: 'what',
      cause: { type: 'RangeError', message: 'why', code: 'EIO', errno: -5, syscall: 'write' },
    },
  });
  t.deepEqual(Object.keys(line.err as object).toSorted(), ['cause', 'code', 'message', 'stack', 'type']);
  t.notRegex(text, hidden(SECRET));
});

test('an error is told so wherever it stands', (t) => {
  const error = () => Object.assign(new Error('e'), { rawPacket: Buffer.from(SECRET), token: SECRET });
  const { text } = logged({ problem: error(), list: [error()], within: { deep: { error: error() } }, error: error() });
  t.notRegex(text, hidden(SECRET));
  t.is(text.split('"message":"e"').length - 1, 4);
});

test('bytes are told by their number', (t) => {
  const bytes = Buffer.from(SECRET);
  const { text, line } = logged({ a: bytes, b: new Uint8Array(bytes), c: [bytes], d: bytes.buffer.slice(0, 14) });
  t.notRegex(text, hidden(SECRET));
  t.is(line.a, '14 bytes');
});

test('credentials in texts are left out', (t) => {
  for (const secretive of [
    `Authorization: Bearer ${SECRET}`,
    `basic ${SECRET}`,
    `GET /v1/objects/x?expires=1&signature=${SECRET}&range=0-1`,
    `http://h/b?X-Amz-Credential=${SECRET}&X-Amz-Signature=${SECRET}`,
    `postgres://me:${SECRET}@db/x failed`,
  ]) {
    const { text } = logged({ what: secretive, err: new Error(secretive, { cause: new Error(secretive) }) }, secretive);
    t.notRegex(text, hidden(SECRET), secretive);
  }
});

test('whatever is logged is short', (t) => {
  const long = 'x'.repeat(1e6);
  let error = new Error(long);
  for (let n = 0; n < 100; n += 1) error = new Error(long, { cause: error });
  const list = Array.from({ length: 1e4 }, () => long);
  const { text } = logged({ long, err: error, list, members: Object.fromEntries(list.entries()) }, long);
  t.true(text.length < 300_000, `${text.length} characters`);
  const around: Record<string, unknown> = {};
  around.self = around;
  t.notThrows(() => logged(around));
});

test('plain fields stay as they are', (t) => {
  const at = new Date(0);
  const { line } = logged({ url: 'http://127.0.0.1:8420', ms: 1.5, ok: true, none: null, at, list: [1, 'a'], big: 1n });
  t.like(line, {
    url: 'http://127.0.0.1:8420',
    ms: 1.5,
    ok: true,
    none: null,
    at: at.toJSON(),
    list: [1, 'a'],
    big: '1',
  });
});
