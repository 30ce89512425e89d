import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { apiOf } from '../support/api.ts';
import { addEvents, auditRows } from '../support/audit-rows.ts';
import { runCli } from '../support/cli-child.ts';
import { withRegistry } from '../support/registry-content.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

async function place(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const cli = (...args: string[]) => runCli([...args, '--url', service.url], { cwd: folder });
  /** What a command prints, in a file. */
  async function save(file: string, ...args: string[]): Promise<void> {
    const ended = await cli(...args);
    t.is(ended.code, 0, ended.stderr);
    await writeFile(join(folder, file), ended.bytes);
  }
  return { folder, service, api: apiOf(service.url), cli, save };
}

test('a checkpoint that was kept finds what was edited since: exit 5, and the event is named', async (t) => {
  const { folder, service, api, cli, save } = await place(t);
  await api.preserve({ a: 'kept' });
  await addEvents(service.services, 20);
  await save('store.pem', 'keys', 'export');
  await save('kept', 'audit', 'checkpoint');
  t.is(await readFile(join(folder, 'kept'), 'utf8'), (await api.get('/v1/log/checkpoint')).body, 'byte for byte');

  const whole = await cli('audit', 'verify', '--checkpoint', 'kept', '--key', 'store.pem', '--json');
  t.is(whole.code, 0, whole.stderr);
  t.like(whole.json, { ok: true, break: null, checkpoints: 1, in_storage_only: 0 });
  const alone = await cli('audit', 'verify');
  t.regex(
    alone.stdout,
    /the audit is what was logged, as compared with the service's own checkpoint\. Only a checkpoint/,
  );

  const edited = await withRegistry(service.env, async (db) => {
    const rows = await auditRows(db);
    const { seq, id } = rows[4] ?? { seq: 0, id: '' };
    await db('audit_events').where({ seq }).update({ actor: 'somebody else' });
    return id;
  });
  await addEvents(service.services, 3);
  const broken = await cli('audit', 'verify', '--checkpoint', 'kept', '--json');
  t.is(broken.code, 5);
  t.like(broken.json, { ok: false, break: { index: 4, logged: edited, found: edited } });
  const said = await cli('audit', 'verify', '--checkpoint', 'kept');
  t.is(said.code, 5);
  t.regex(said.stdout, new RegExp(`is not what was logged: entry 4, ${edited}, was changed after it was logged\\.`));
  t.is((await cli('audit', 'prove', edited)).code, 5);
});

test('a later checkpoint is proved to continue one that was kept, and one that does not is refused', async (t) => {
  const { folder, service, cli, save } = await place(t);
  await addEvents(service.services, 5);
  await save('kept', 'audit', 'checkpoint');
  await addEvents(service.services, 300);
  const later = await cli('audit', 'checkpoint', '--since', 'kept', '--json');
  t.is(later.code, 0, later.stderr);
  t.like(later.json, { size: 305, since: 5 });

  const other = await place(t);
  await addEvents(other.service.services, 9);
  const note = (await other.cli('audit', 'checkpoint')).stdout;
  await writeFile(join(folder, 'foreign'), note);
  const unsigned = await cli('audit', 'checkpoint', '--since', 'foreign', '--json');
  t.is(unsigned.code, 5, 'nobody known has signed it');
  t.regex(unsigned.json.error.message, /^foreign is not signed by /);
  await writeFile(join(folder, 'other.pem'), (await other.cli('keys', 'export')).stdout);
  const verified = await cli('audit', 'verify', '--key', 'other.pem', '--json');
  t.is(verified.code, 5, 'the service is another one');
  await writeFile(join(folder, 'half'), note.slice(0, 40));
  t.is((await cli('audit', 'verify', '--checkpoint', 'half')).code, 5);
  t.is((await cli('audit', 'verify', '--checkpoint', 'nowhere')).code, 1);
  t.is((await cli('audit', 'verify', '--key', 'kept')).code, 2);
});

test('a proof is checked without the service, by whoever has its key', async (t) => {
  const { folder, service, api, cli, save } = await place(t);
  const id = await api.preserve({ a: 'kept' });
  await api.post(`/v1/packages/${id}/holds`, { reason: 'asked for' });
  const { items } = (await api.get('/v1/audit?action=hold.placed')).body;
  await save('store.pem', 'keys', 'export');
  await save('hold.tlog-proof', 'audit', 'prove', items[0].id);
  t.is((await cli('audit', 'prove', items[0].id, '--json')).json.event, items[0].id);
  t.is((await cli('audit', 'prove', 'evt_0198c0ffee0070008000000000000000')).code, 3);
  await save('kept', 'audit', 'checkpoint');
  await service.stop();

  const offline = (...args: string[]) =>
    runCli(['audit', 'verify', '--proof', 'hold.tlog-proof', ...args], { cwd: folder });
  const proved = await offline('--key', 'store.pem', '--checkpoint', 'kept', '--json');
  t.is(proved.code, 0, proved.stderr);
  t.like(proved.json, { ok: true, event: { id: items[0].id, reason: 'asked for' } });
  t.is((await offline()).code, 2, 'whose key is to be said');
  const text = await readFile(join(folder, 'hold.tlog-proof'), 'utf8');
  const [, extra = ''] = /^extra (.*)$/m.exec(text) ?? [];
  const forged = Buffer.from(extra, 'base64').toString().replace('asked for', 'never asked');
  await writeFile(join(folder, 'hold.tlog-proof'), text.replace(extra, Buffer.from(forged).toString('base64')));
  const wrong = await offline('--key', 'store.pem', '--json');
  t.is(wrong.code, 5);
  t.regex(wrong.json.error.message, /does not prove its entry/);
});

test('a key that begins to sign between two requests, as of a replica that was just started, is known when its signature comes', async (t) => {
  const { folder, service, api, save } = await place(t);
  const id = await api.preserve({ a: 'kept' });
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  let rotations = 0;
  // Whatever is signed, it is by a key that no request before could have named.
  relay.before = async ({ url }) => {
    if (url !== '/v1/keys') {
      t.is((await api.post('/v1/keys')).status, 201);
      rotations += 1;
    }
    return 'pass';
  };
  await save('kept', 'audit', 'checkpoint');
  const [event] = (await api.get('/v1/audit?action=package.finalized')).body.items;
  for (const args of [
    ['audit', 'verify'],
    ['audit', 'verify', '--checkpoint', 'kept'],
    ['audit', 'checkpoint'],
    ['audit', 'checkpoint', '--since', 'kept'],
    ['audit', 'prove', event.id],
    ['export', id, '--bundle', 'bundle.tar'],
  ]) {
    const before = rotations;
    const { code, stderr } = await runCli([...args, '--url', relay.url], { cwd: folder });
    t.is(code, 0, `${args.join(' ')}: ${stderr}`);
    t.true(rotations > before);
  }
});
