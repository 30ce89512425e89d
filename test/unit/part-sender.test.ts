import { Agent } from 'node:http';
import { connect } from 'node:net';
import test from 'ava';
import { sendPart } from '../../cli/client/part-sender.ts';
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
  const part = {
    number: 1,
    method: 'PUT' as const,
    url: `http://127.0.0.1:${port}/`,
    headers: {},
    offset: 0,
    size: 1,
    digest: '',
    received: false,
    expires_at: '',
  };
  const options = { agents: { http: agent, https: agent as never }, signal: new AbortController().signal, sent() {} };
  // What nobody waited for would end the process.
  await t.throwsAsync(sendPart(part, source, options), { code: 'ECONNREFUSED' });
});
