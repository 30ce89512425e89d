import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { openRaw, sendRaw } from '../support/raw-http.ts';
import { tempFolder } from '../support/temp.ts';

/** Everything that a hostile client may do to have its bytes, or somebody's secrets, written to the log. */
interface Served {
  url: string;
  dir: string;
  child: ChildProcess;
  log: () => string;
}

async function serve(t: ExecutionContext, token: string): Promise<Served> {
  const dir = await tempFolder(t);
  const child = spawn(process.execPath, [BIN, 'serve', '--port', '0', '--data-dir', join(dir, 'data'), '--json'], {
    env: processEnv({ ARTIFACT_STORE_ADMIN_TOKEN: token, ARTIFACT_STORE_LOG_LEVEL: 'trace' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { url: JSON.parse(line).url, dir: join(dir, 'data'), child, log: () => log };
}

/** How a text may lie in a log: as it is, in hex, in base64 whatever stands before it, as a list of its bytes. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const inBase64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    // What depends on its neighbours is cut off.
    return text.slice(4, -4);
  });
  return [secret, encodeURIComponent(secret), bytes.toString('hex'), [...bytes].join(','), ...inBase64];
}

test('no secret and no byte of evidence gets into the log, whatever is done to the service', async (t) => {
  t.timeout(120_000);
  const canary = (what: string): string => `${what}-${randomBytes(12).toString('hex')}`;
  const secrets = {
    token: canary('token'),
    wrong: canary('wrong'),
    evidence: canary('evidence'),
    metadata: canary('metadata'),
    json: canary('json'),
    cookie: canary('cookie'),
    query: canary('query'),
  };
  const { url, dir, child, log } = await serve(t, secrets.token);
  const { host } = new URL(url);
  const api = apiOf(url, secrets.token);
  const open = apiOf(url);
  const id = await api.create({ metadata: { secret: secrets.metadata } });
  const bearer = `Authorization: Bearer ${secrets.token}\r\nCookie: ${secrets.cookie}\r\n`;
  const head = (line: string, more: string): string => `${line} HTTP/1.1\r\nHost: ${host}\r\n${bearer}${more}\r\n\r\n`;
  const put = `PUT /v1/packages/${id}/files/spoilt`;
  const json = 'Content-Type: application/json\r\n';
  const chunked = 'Transfer-Encoding: chunked';

  for (const bytes of [
    `${head(put, chunked)}zz\r\n${secrets.evidence}`,
    `${head(put, chunked)}20\n${secrets.evidence}`,
    `${head(put, chunked)}5\r\n${secrets.evidence}\r\n`,
    `${head(put, chunked)}5;${secrets.evidence.repeat(500)}\r\nhello\r\n`,
    head(put, 'Content-Length: 5') + secrets.evidence.repeat(2_000),
    head('POST /v1/packages', `${json}Content-Length: 5`) + secrets.json.repeat(50),
    head('POST /v1/packages', `${json}Transfer-Encoding: gzip, chunked`) + secrets.json,
    head('GET /healthz', `X: ${secrets.query.repeat(1_000)}`),
    head('GET /healthz', `Host: ${secrets.query}`),
    head(`GET http://${secrets.query}/healthz`, 'Connection: close'),
    head(`GET /healthz?token=${secrets.query} x`, ''),
    `${secrets.token} ${secrets.evidence}\r\n\r\n`,
  ])
    t.true((await sendRaw(url, bytes)).length > 0);
  const cut = openRaw(url);
  cut.socket.write(head(put, 'Content-Length: 100000') + secrets.evidence, () => cut.socket.destroy());
  await cut.closed;

  t.is((await apiOf(url, secrets.wrong).get(`/v1/packages?token=${secrets.query}`)).status, 401);
  t.is(
    (await api.call('POST', '/v1/packages', `{"${secrets.json}`, { 'content-type': 'application/json' })).status,
    400,
  );
  const notUtf8 = Buffer.concat([Buffer.from(secrets.json), Buffer.from([0xff])]);
  t.is((await api.call('POST', '/v1/packages', notUtf8, { 'content-type': 'application/json' })).status, 400);
  t.is(
    (await api.post('/v1/packages', { name: 'n', producer: 'p', metadata: { a: `${secrets.metadata}\0` } })).status,
    422,
  );
  t.is((await api.post('/v1/packages', { name: secrets.json.repeat(50), producer: 'p' })).status, 422);

  const bytes = Buffer.from(secrets.evidence);
  const file = { path: 'f', digest: sha256(bytes), size: bytes.length };
  await api.post(`/v1/packages/${id}/files`, { files: [file] });
  const plan = await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest: file.digest, size: file.size }] });
  const [upload] = plan.body.uploads;
  const [part] = upload.parts;
  t.is((await open.call('PUT', part.url, Buffer.from(secrets.evidence.toUpperCase()), part.headers)).status, 400);
  t.is((await open.call('PUT', `${part.url}x`, bytes, part.headers)).status, 403);
  t.is((await open.call('PUT', part.url, bytes, part.headers)).status, 200);
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  const [{ url: signed }] = (await api.post(`/v1/packages/${id}/downloads`)).body.objects;
  t.is((await open.get(signed)).status, 200);
  t.is((await open.get(`${signed}x`)).status, 403);
  const signatures = [part.url, signed].map((each: string) => new URL(each).searchParams.get('signature') as string);
  const shown = await api.preserve({ shown: 'x' });
  const { url: link } = (await api.post(`/v1/packages/${shown}/shares`, {})).body;
  const page = (await open.get(`${link}/files/shown`)).body as string;
  const [address] = /\/ui\/evidence\/[^"?]+/.exec(page) ?? [''];
  t.is((await open.get(address)).status, 200);
  t.is((await open.get(`${link}x`)).status, 404);
  t.is((await open.get(`${address}x`)).status, 404);
  signatures.push(link.slice(-50), address.split(/[./]/)[4] as string);

  // Storage that is not what it was, and storage that fails.
  const objects = join(dir, 'blobs/objects');
  for (const name of await readdir(objects, { recursive: true })) {
    if (/[0-9a-f]{64}/.test(name)) await writeFile(join(objects, name), secrets.evidence.toUpperCase());
  }
  t.is((await api.get(`/v1/packages/${id}/files/f`)).status, 500);
  await rename(objects, `${objects}-away`);
  t.is((await open.get(signed)).status, 500);
  await symlink(`${objects}-away`, objects);
  t.is((await api.get(`/v1/packages/${id}/files/f`)).status, 503);
  t.is((await api.call('PUT', `/v1/packages/${id}/files/g`, secrets.evidence.repeat(2))).status, 409);

  child.kill('SIGTERM');
  await once(child, 'close');
  const text = log();
  t.true(text.includes('"msg":"request"') && text.includes('"msg":"request failed"'), 'it was logged');
  t.true(text.includes('"msg":"stored bytes are damaged"'));
  t.true(text.includes(`/v1/packages/${id}/files/f`), 'with what was asked for');
  for (const secret of [...Object.values(secrets), secrets.evidence.toUpperCase(), ...signatures]) {
    for (const form of formsOf(secret)) t.false(text.includes(form), `${secret}: ${form}`);
  }
  t.notRegex(text, /rawPacket|"headers"|authorization/i);
  t.true(text.length < 100_000, `${text.length} characters`);
});
