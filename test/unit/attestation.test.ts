import { generateKeyPairSync } from 'node:crypto';
import { dsse } from '@sigstore/core';
import test from 'ava';
import { type Envelope, envelopeBytes, parseEnvelope, preAuthEncoding } from '../../src/core/dsse.ts';
import { publicKeyFromRaw, readPublicKey, readSigningKey } from '../../src/core/signing-key.ts';
import { openStatement, PAYLOAD_TYPE, SUBJECTS_MAX, signStatement, statementOf } from '../../src/core/statement.ts';

const newKey = () =>
  readSigningKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
const FACTS = {
  package: { id: 'pkg_1', name: 'n', producer: 'p', subject: null, external_id: null, supersedes: null },
  source_commits: {},
  retention_class: 'raw-evidence',
  created_at: '2026-01-01T00:00:00.000Z',
  finalized_at: '2026-01-01T00:00:00.000Z',
  manifest: { sha256: 'a'.repeat(64), size: 10 },
  file_count: 1,
  total_size: 4,
  store_id: null,
};
async function* oneFile() {
  yield [{ path: 'größe', sha256: 'b'.repeat(64) }];
}

test('the encoding that is signed is that of the specification, and of another implementation', (t) => {
  // github.com/secure-systems-lab/dsse, protocol.md
  t.is(
    preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString(),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
  for (const payload of ['', 'größe', '\0'.repeat(1_000)]) {
    const bytes = Buffer.from(payload);
    t.deepEqual(preAuthEncoding(PAYLOAD_TYPE, bytes), dsse.preAuthEncoding(PAYLOAD_TYPE, bytes));
  }
});

test('a statement is read back by whoever has the key, and by nobody else', async (t) => {
  const [key, other] = [newKey(), newKey()];
  const statement = await statementOf(FACTS, oneFile);
  const envelope = parseEnvelope(envelopeBytes(signStatement(statement, key)));
  const opened = openStatement(envelope, [other.publicKey, key.publicKey]);
  t.deepEqual(opened.statement, statement);
  t.is(opened.key.id, key.publicKey.id);
  t.throws(() => openStatement(envelope, [other.publicKey]), { name: 'EnvelopeError', message: /is not signed by/ });
  // Whatever it says of its keys.
  const renamed = {
    ...envelope,
    signatures: envelope.signatures.map(({ sig }) => ({ keyid: other.publicKey.id, sig })),
  };
  t.throws(() => openStatement(renamed, [other.publicKey]), { name: 'EnvelopeError' });
});

test('any byte of the payload or its type that is changed is noticed', async (t) => {
  const key = newKey();
  const envelope = signStatement(await statementOf(FACTS, oneFile), key);
  const payload = Buffer.from(envelope.payload, 'base64');
  for (let at = 0; at < payload.length; at += 1) {
    const changed = Buffer.from(payload);
    changed[at] = (changed[at] as number) ^ 1;
    const edited: Envelope = { ...envelope, payload: changed.toString('base64') };
    t.throws(() => openStatement(edited, [key.publicKey]), { name: 'EnvelopeError' }, `byte ${at}`);
  }
  t.throws(() => openStatement({ ...envelope, payloadType: 'text/plain' }, [key.publicKey]), { name: 'EnvelopeError' });
});

test('a package of more files than a statement names is named by its manifest', async (t) => {
  const statement = await statementOf({ ...FACTS, file_count: SUBJECTS_MAX + 1 }, () => {
    throw new Error('its files are not read');
  });
  t.deepEqual(statement.subject, [{ name: 'manifest.json', digest: { sha256: FACTS.manifest.sha256 } }]);
  t.is(statement.predicate.subjects, 'manifest');
});

test('keys are read from PEM and from their bytes, and what is no Ed25519 key is refused', (t) => {
  const { publicKey } = newKey();
  t.is(readPublicKey(publicKey.pem).id, publicKey.id);
  t.is(publicKeyFromRaw(publicKey.raw).id, publicKey.id);
  t.regex(publicKey.id, /^[0-9a-f]{64}$/);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.throws(() => readPublicKey(rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string), { name: 'KeyError' });
  t.throws(() => readSigningKey(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string), {
    name: 'KeyError',
  });
  t.throws(() => readSigningKey('nonsense'), { name: 'KeyError', message: /is not a private key in PEM/ });
});

for (const [what, bytes] of [
  ['no JSON', '{'],
  ['another shape', '[]'],
  ['no signature', JSON.stringify({ payloadType: PAYLOAD_TYPE, payload: '', signatures: [] })],
  ['no base64', JSON.stringify({ payloadType: PAYLOAD_TYPE, payload: '*', signatures: [{ keyid: '', sig: '' }] })],
] as const) {
  test(`what is no envelope is refused: ${what}`, (t) => {
    t.throws(() => parseEnvelope(Buffer.from(bytes)), { name: 'EnvelopeError' });
  });
}
