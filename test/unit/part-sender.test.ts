import { Agent, createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import test from 'ava';
import { Connections } from '../../cli/client/api/connections.ts';
import { sendPart } from '../../cli/client/push/part-sender.ts';
import { EXIT, toCliError } from '../../cli/errors.ts';
import { freePorts } from '../support/ports.ts';

test('a connection that fails before the first piece was read is an error like any other', async (t) => {
  const [port = 0] = await freePorts(1);
  const agent = new Agent();
  const closed = new Promise<void>((resolve) => {
    agent.createConnection = () => connect(port, '127.0.0.1').once('close', () => resolve());
  });
  const source = {
    label: 'a file on a slow disk',
    async *pieces() {
      await closed;
      yield Buffer.alloc(1);
    },
  };
  // What nobody waited for would end the process.
  await t.throwsAsync(sendPart(partAt(port), source, optionsOf(agent)), { code: 'ECONNREFUSED' });
});

test('what storage says is told by its code: an upload that has ended, or a storage that is not as it should be', async (t) => {
  const gone = 'The upload or the bucket is gone: ';
  for (const [status, said, code, why] of [
    [404, 'NoSuchUpload', 'upload_closed', ''],
    [404, 'NoSuchBucket', 'unavailable', gone],
    [404, 'NoSuchKey', 'unavailable', gone],
    [403, 'InvalidAccessKeyId', 'unavailable', ''],
  ] as const) {
    const server = createServer((_request, response) => {
      response.writeHead(status).end(`<?xml version="1.0"?><Error><Code>${said}</Code></Error>`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const { port } = server.address() as AddressInfo;
    const source = { label: '"a.bin"', pieces: () => [Buffer.alloc(1)].values() as Generator<Buffer> };
    const error = await t.throwsAsync(sendPart(partAt(port), source, optionsOf(new Agent())));
    t.like(error, { code, message: `${why}Part 1 of "a.bin" was answered by the storage with ${status} ${said}.` });
    if (code !== 'unavailable') continue;
    t.is(toCliError(error).exit, EXIT.failed);
    t.regex(toCliError(error).next ?? '', /doctor/);
  }
});

function partAt(port: number) {
  const about = { number: 1, method: 'PUT' as const, headers: {}, offset: 0, size: 1, digest: '', received: false };
  return { ...about, url: `http://127.0.0.1:${port}/`, expires_at: '' };
}

function optionsOf(agent: Agent) {
  const pool = new Connections().pool(1);
  pool.agentsFor = () => ({ http: agent, https: agent as never });
  return { pool, signal: new AbortController().signal, sent() {} };
}
