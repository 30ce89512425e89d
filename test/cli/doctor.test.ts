import test, { type ExecutionContext } from 'ava';
import { diagnose } from '../../src/usecases/diagnose.ts';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { type Examined, examine } from '../support/examine.ts';
import { startLyingS3 } from '../support/lying-s3.ts';
import { errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import type { ScriptedS3 } from '../support/scripted-s3.ts';
import { startTestService } from '../support/service.ts';

/** What operators are told of one machine, and of an S3 server that lies. */
test('SQLite and a folder: the data folder and its space, the database, the token, the address', async (t) => {
  const { code, text, checks } = await examine(t, {}, []);
  t.is(code, 0, text);
  t.regex(text, /^ok {3}The data folder is .*; \d+ [GM]B are available\.$/m);
  t.regex(text, /^ok {3}The registry is SQLite in the data folder \(schema \d{4}_\w+\); it answers in \d+ ms\.$/m);
  t.regex(text, /^ok {3}Requests need a token\.$/m);
  t.true([...checks.values()].every(({ level }) => level === 'ok'));
});

test('no token, and unusable addresses: each is reported with what to do', async (t) => {
  const { services, url, dispose } = await startTestService();
  t.teardown(dispose);
  const plain = await runCli(['doctor', '--url', url]);
  t.is(plain.code, 0, plain.stderr);
  t.regex(plain.stdout, /^note There is no token: .*\n {5}→ Set ARTIFACT_STORE_ADMIN_TOKEN/m);
  const told = async (publicUrl: string, reachable: boolean) => {
    const checks = await diagnose({ ...services, publicUrl: () => publicUrl }, { ...services.surroundings, reachable });
    return checks.find(({ name }) => name === 'public_url');
  };
  t.is((await told('https://store.example', true))?.level, 'ok');
  t.is((await told('http://127.0.0.1:8420', false))?.level, 'ok');
  t.regex((await told('http://store.example', true))?.says ?? '', /unencrypted/);
  for (const nowhere of ['http://0.0.0.0:8420', 'http://localhost:8420']) {
    t.regex((await told(nowhere, true))?.advice ?? '', /ARTIFACT_STORE_PUBLIC_URL/, nowhere);
  }
});

test('a data folder that is full or cannot be written', async (t) => {
  const { files } = recordingFileLayer();
  const real = files.statfs.bind(files);
  const tight = { ...files, statfs: async (path: string) => ({ ...(await real(path)), bavail: 10, bsize: 4_096 }) };
  const full = await examine(t, { files: tight }, []);
  t.is(full.code, 0);
  t.like(full.checks.get('data_folder'), { level: 'warning' });
  t.regex(full.text, /^WARN The data folder is .*; \d+ kB are available\.\n {5}→ Free some space/m);

  let broken = false;
  const layer = recordingFileLayer((effect) => {
    if (broken && effect.name === 'create') throw errno('EROFS');
  });
  const service = await startTestService({ files: layer.files });
  t.teardown(() => service.dispose());
  broken = true;
  const failed = await runCli(['doctor', '--url', service.url]);
  t.is(failed.code, 1);
  t.regex(failed.stdout, /^FAIL Blobs are in the folder .*, which does not work: .*EROFS/m);
});

async function onLiar(
  t: ExecutionContext,
  how: Parameters<typeof startLyingS3>[0],
): Promise<Examined & { s3: ScriptedS3 }> {
  const s3 = await startLyingS3(how);
  t.teardown(() => s3.close());
  const env = {
    ARTIFACT_STORE_S3_BUCKET: 'evidence-of-lies',
    ARTIFACT_STORE_S3_ENDPOINT: s3.endpoint,
    ARTIFACT_STORE_S3_ACCESS_KEY_ID: 'known-key',
    ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: 'the-secret-itself',
  };
  return { ...(await examine(t, { env }, ['the-secret-itself'], ['evidence-of-lies', new URL(s3.endpoint).host])), s3 };
}

test('a server that accepts everything is not trusted, and doctor fails on what reading back cannot repair', async (t) => {
  const { code, text, checks, readiness } = await onLiar(t, {});
  t.is(code, 1, 'a part URL that lives after commit is no basis for preservation');
  t.like(checks.get('part_url_ends_with_upload'), { level: 'failure' });
  t.like(checks.get('anonymous_read_refused'), { level: 'failure' });
  t.like(checks.get('part_digest_enforced'), { level: 'warning' });
  t.like(checks.get('service_bytes_enforced'), { level: 'warning' });
  t.like(checks.get('verified_on_arrival'), { level: 'note' });
  t.like(checks.get('clocks_agree'), { level: 'ok' });
  t.regex(text, /^FAIL A part URL still works after its object was committed \(.*\)\.\n {5}→ .*Use another server/m);
  t.regex(text, /^WARN A part URL accepts bytes that it was not signed for \(wrong body: 200, stored right; /m);
  t.is(readiness.status, 'ready', 'clients can be served, every byte is read back');
  t.false(readiness.blob_store.capabilities.part_digest_enforced);
  const told = readiness.blob_store.findings.find((finding) =>
    finding.startsWith('A part URL accepts bytes that it was not'),
  );
  t.regex(
    told ?? '',
    /^A part URL accepts bytes that it was not signed for\. This server does not check .* reads every object back/,
  );
});

test('doctor probes the backend again, once for everybody who asks at about the same time', async (t) => {
  const s3 = await startLyingS3({});
  t.teardown(() => s3.close());
  const env = {
    ARTIFACT_STORE_S3_BUCKET: 'evidence-of-lies',
    ARTIFACT_STORE_S3_ENDPOINT: s3.endpoint,
    ARTIFACT_STORE_S3_ACCESS_KEY_ID: 'known-key',
    ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: 'the-secret-itself',
  };
  const attacks = () => s3.requests.filter(({ method, url }) => method === 'PUT' && url.includes('/probe/')).length;
  const service = await startTestService({ env, probeIntervals: { onDemand: 1e9 } });
  t.teardown(() => service.dispose());
  const once = attacks();
  t.true(once > 15);
  const api = apiOf(service.url);
  await api.get('/readyz');
  t.is(attacks(), once, 'who only asks whether it is ready costs the backend nothing');
  await Promise.all([runCli(['doctor', '--url', service.url]), api.get('/v1/diagnosis'), api.get('/v1/diagnosis')]);
  t.is(attacks(), 2 * once);
  await api.get('/v1/diagnosis');
  t.is(attacks(), 2 * once);
});

test('a storage clock that is twenty minutes behind is reported, with NTP', async (t) => {
  const { text } = await onLiar(t, { clockSkewMs: -1_200_000 });
  t.regex(
    text,
    /^WARN The storage's clock does not agree with this machine's \(it is 1(199|200|201) s behind\)\.\n {5}→ .*NTP/m,
  );
});
