import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import test from 'ava';
import { apiOf } from '../support/api.ts';
import { processEnv } from '../support/process-env.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

const PAGE = resolve(import.meta.dirname, '../../docs/webhooks.md');

const python = await required('The Python receiver of docs/webhooks.md', {
  what: 'python3',
  how: 'Install it (Debian: apt-get install python3).',
  start: () => promisify(execFile)('python3', ['--version']),
});

const PROGRAMS = [
  { language: 'js', file: 'receiver.mjs', program: process.execPath },
  ...(python === null ? [] : [{ language: 'python', file: 'receiver.py', program: 'python3' }]),
];

for (const { language, file, program } of PROGRAMS) {
  test(`the receiver of docs/webhooks.md in ${language} takes what is signed, and nothing else`, async (t) => {
    const page = await readFile(PAGE, 'utf8');
    const source = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1];
    if (source === undefined) return t.fail('there is none');
    const folder = await tempFolder(t);
    await writeFile(join(folder, file), source);
    const service = await startTestService({
      env: { ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' },
      webhooks: { look: 5 },
    });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const types = ['package.created', 'package.finalized'];
    // Nobody listens there yet: the secret is known only when there is a webhook.
    const reserved = await api.post('/v1/webhooks', { url: 'http://127.0.0.1:9/', types });
    const child = spawn(program, [file], {
      cwd: folder,
      env: processEnv({ PORT: '0', WEBHOOK_SECRET: reserved.body.secret }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => String((await lines.next()).value);
    const [, port] = /^listening on (\d+)$/.exec(await next()) ?? [];
    const url = `http://127.0.0.1:${port}/`;
    const { registry } = service.services;
    const other = await api.post('/v1/webhooks', { url, types: ['hold.placed'] });
    t.like((await api.post(`/v1/webhooks/${other.body.id}/test`)).body, { delivered: false, status: 401 });
    await registry.transaction(async (tables) => {
      const webhook = await tables.webhooks.get(reserved.body.id);
      if (webhook === null) throw new Error('it is gone');
      await tables.webhooks.remove(webhook.id);
      await tables.webhooks.insert({ ...webhook, url });
    });
    const id = await api.preserve({ f: 'x' });
    t.is(await next(), `artifact-store.package.created ${id}`);
    t.is(await next(), `artifact-store.package.finalized ${id}`);
    const { body: rotated } = await api.post(`/v1/webhooks/${reserved.body.id}/secret`);
    t.not(rotated.secret, reserved.body.secret);
    const again = await api.create();
    t.is(await next(), `artifact-store.package.created ${again}`, 'the secret before signs, too');
  });
}
