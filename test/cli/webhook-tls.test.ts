import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { apiOf } from '../support/api.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { startReceiver } from '../support/receiver.ts';
import { tempFolder } from '../support/temp.ts';
import { ownCa, startTlsFront } from '../support/tls-front.ts';

/** The command in a process of its own: Node reads NODE_EXTRA_CA_CERTS when it starts. @returns its URL */
async function serve(t: ExecutionContext, env: Record<string, string>): Promise<string> {
  const folder = await tempFolder(t);
  const args = [BIN, 'serve', '--json', '--port', '0', '--data-dir', join(folder, 'data')];
  const child = spawn(process.execPath, args, {
    env: processEnv({
      ARTIFACT_STORE_WEBHOOK_ALLOW: 'localhost',
      ARTIFACT_STORE_LOG_LEVEL: 'error',
      XDG_CACHE_HOME: folder,
      ...env,
    }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url?: string };
    if (url !== undefined) return url;
  }
  throw new Error('the service ended before it listened');
}

test('over https events come to who has a certificate that is trusted, of its own name, and to nobody else', async (t) => {
  const receiver = await startReceiver();
  const ca = await ownCa(await tempFolder(t));
  const target = receiver.url.replace('/events', '');
  const front = await startTlsFront(target, await ca.sign(['localhost']));
  const renamed = await startTlsFront(target, await ca.sign(['elsewhere.example']));
  t.teardown(async () => {
    await Promise.all([front.close(), renamed.close(), receiver.close()]);
  });
  const told = async (url: string, port: number) => {
    const api = apiOf(url);
    const made = await api.post('/v1/webhooks', { url: `https://localhost:${port}/events` });
    t.is(made.status, 201);
    return (await api.post(`/v1/webhooks/${made.body.id}/test`)).body;
  };
  const [trusting, strange] = await Promise.all([serve(t, { NODE_EXTRA_CA_CERTS: ca.file }), serve(t, {})]);
  t.like(await told(trusting, front.port), { delivered: true, status: 204 });
  t.is(receiver.received.length, 1);

  const untrusted = await told(strange, front.port);
  t.is(untrusted.delivered, false);
  t.regex(untrusted.failure, /certificate|UNABLE_TO|SELF_SIGNED/i);
  const another = await told(trusting, renamed.port);
  t.is(another.delivered, false);
  t.regex(another.failure, /ALTNAME|certificate/i);
  t.is(receiver.received.length, 1, 'nothing was sent where it was not known to whom');
});
