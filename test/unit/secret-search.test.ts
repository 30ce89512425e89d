import { hash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { Baseline, baselineLine } from '../../cli/client/secrets/baseline.ts';
import { collectSecrets, recordOf } from '../../cli/client/secrets/collect-secrets.ts';
import { MORE_KIND, SECRETS_OF_FILE_MAX } from '../../cli/client/secrets/find-secrets.ts';
import { newSuspicion } from '../../cli/client/secrets/suspicion.ts';
import { secretsIn } from '../support/find-secrets.ts';

const LINE = '2026-11-24T12:00:00 [main] INFO session token passed, checked type token of object\n';
/** Text of so many bytes in which nothing is to be found. */
const plain = (size: number): Buffer => Buffer.alloc(size, LINE);
const sha256 = (text: string): string => hash('sha256', text, 'hex');

const KIB = 1_024;
/** Around all that is cut anywhere: pieces, blocks, spans, and what is read around them. */
const BORDERS = [0, KIB, 4 * KIB, 8 * KIB, 32 * KIB, 33 * KIB, 36 * KIB, 45 * KIB, 64 * KIB];
const place = fc
  .tuple(fc.constantFrom(...BORDERS), fc.integer({ min: -80, max: 80 }))
  .map(([border, off]) => Math.max(0, border + off));
const KEY = `-----BEGIN RSA PRIVATE KEY-----\nMII${'Ab3/'.repeat(2_000)}\n-----END RSA PRIVATE KEY-----`;
const secret = fc.constantFrom<[string, string, string]>(
  ['clientSecret=', 'Tr0ub4dor-and-3', 'oauth-client-secret'],
  ['http://admin:', 'Tr0ub4dor', 'url-password'],
  ['', `ghp_${'aB3'.repeat(12)}`, 'github'],
  ['', `hf_${'aB'.repeat(17)}`, 'huggingface'],
  ['password = ', 'x'.concat('y1'.repeat(250)), 'password'],
  ['', KEY, 'privatekey'],
);

test('a secret is found wherever it stands and however the file comes in pieces, on its line', async (t) => {
  const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constantFrom(4 * KIB, 64 * KIB)), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(
      place,
      secret,
      fc.nat({ max: 40 * KIB }),
      pieces,
      async (at, [before, text, kind], after, cuts) => {
        const end = kind === 'url-password' ? '@localhost/x\n' : '\n';
        const content = Buffer.concat([plain(at), Buffer.from(`\n${before}${text}${end}`), plain(after)]);
        const found = await secretsIn(content, [...cut(content, cuts)]);
        const line = content
          .subarray(0, at + 1 + before.length)
          .toString()
          .split('\n').length;
        t.deepEqual(found, [{ line, kind, sha256: sha256(text) }]);
      },
    ),
    { numRuns: 150 },
  );
});

function* cut(content: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < content.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    yield content.subarray(at, at + size);
    at += size;
  }
}

test('many secrets are each found once, whatever stands between them', async (t) => {
  const gaps = fc.array(fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 9 * KIB })), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(gaps, async (sizes) => {
      const secrets = sizes.map((_, index) => `s3cret-${index}-${'z'.repeat(index)}`);
      const lines = secrets.map((text, index) => `${plain(sizes[index] as number).toString()}\npassword: "${text}"\n`);
      const found = await secretsIn(Buffer.from(lines.join('')));
      t.deepEqual(
        found.map((one) => one.sha256),
        secrets.map(sha256),
      );
    }),
    { numRuns: 50 },
  );
});

test('binary files are not looked through, a file with a NUL behind its beginning is', async (t) => {
  const line = Buffer.from('password=Tr0ub4dor-and-3\n');
  t.deepEqual(await secretsIn(Buffer.concat([Buffer.from([0]), line])), []);
  t.deepEqual(await secretsIn(Buffer.from(line.toString(), 'utf16le')), []);
  t.is((await secretsIn(Buffer.concat([line, plain(9 * KIB), Buffer.from([0])]))).length, 1);
});

test('text without anchors has no spans: no rule is loaded for it', (t) => {
  const suspicion = newSuspicion()(1024 * KIB);
  suspicion.take(plain(1024 * KIB));
  t.deepEqual(suspicion.spans(), []);
});

test('behind a thousand secrets of one file it says that there are more', async (t) => {
  const lines = Array.from({ length: SECRETS_OF_FILE_MAX + 500 }, (_, index) => `password=Tr0ub4dor-${index}`);
  const found = await secretsIn(Buffer.from(lines.join('\n')));
  t.is(found.length, SECRETS_OF_FILE_MAX + 1);
  t.is(found.at(-2)?.line, SECRETS_OF_FILE_MAX);
  t.like(found.at(-1), { line: SECRETS_OF_FILE_MAX + 1, kind: MORE_KIND });
});

test('a baseline accepts a secret by digest, kind and glob, and nothing else', async (t) => {
  const [found] = await secretsIn(Buffer.from('password=Tr0ub4dor-and-3'));
  if (found === undefined) throw new Error('it is not found');
  const digest = `sha256:${sha256('Tr0ub4dor-and-3')}`;
  t.is(baselineLine('logs/a b.log', found), `${digest} password logs/a b.log`);
  const parse = (text: string): Baseline => {
    const baseline = Baseline.parse(text);
    if (typeof baseline === 'number') throw new Error(`line ${baseline} is none`);
    return baseline;
  };
  const baseline = parse(`# known\n\n${digest} password logs/**\r\n`);
  t.true(baseline.accepts('logs/deep/x.log', found));
  t.false(baseline.accepts('other/x.log', found));
  t.false(baseline.accepts('logs/x.log', { ...found, kind: 'secret' }));
  t.false(baseline.accepts('logs/x.log', { ...found, sha256: sha256('another') }));
  for (const bad of ['Tr0ub4dor password a', `${digest} password`, `${digest.slice(0, -1)} password a`, digest]) {
    t.is(Baseline.parse(`# x\n${bad}\n`), 2, bad);
  }
  for (const name of ['a\u2028b', '\u2029', 'c\u0085d', ' e ']) {
    t.true(parse(baselineLine(`dir/${name}`, found)).accepts(`dir/${name}`, found), JSON.stringify(name));
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (name) => {
      if (name.includes('/') || name === '.' || name === '..') return;
      t.true(parse(baselineLine(`dir/${name}`, found)).accepts(`dir/${name}`, found), name);
    }),
  );
});

test('what is told of the findings is bounded, and counts all of them', (t) => {
  const secrets = Array.from({ length: 700 }, (_, index) => ({ line: index + 1, kind: 'password', sha256: '' }));
  const files = ['a'.repeat(1_000), 'b', 'c'].map((path) => ({ path, secrets }));
  const findings = collectSecrets(files, Baseline.none);
  t.like(findings, { count: 2_100, accepted: 0, by: { password: 2_100 } });
  t.deepEqual([findings.places.length, findings.open.length], [1_000, 1_000]);
  const record = recordOf(findings);
  t.is(record?.count, 2_100);
  t.true(record !== null && record.places.length > 10 && JSON.stringify(record).length < 33_000);
  t.is(recordOf(collectSecrets([], Baseline.none)), null);
});
