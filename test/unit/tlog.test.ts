import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { auditEntry, eventOfEntry, type LoggedEvent, longDetail } from '../../src/core/audit-entry.ts';
import { checkpointText, parseCheckpointText, readCheckpoint } from '../../src/core/checkpoint.ts';
import { inclusionProof, leafHash, rootOf } from '../../src/core/merkle.ts';
import { NoteError, openNote, parseVerifier, signNote, verifierText } from '../../src/core/signed-note.ts';
import { readSigningKey, type SigningKey } from '../../src/core/signing-key.ts';
import { openProof, proofText } from '../../src/core/tlog-proof.ts';
import {
  bundleBytes,
  growTiles,
  hashReader,
  newTiles,
  parseBundle,
  parseTilePath,
  tilePath,
} from '../../src/core/tlog-tiles.ts';
import { tempFolder } from '../support/temp.ts';

function newKey(): SigningKey {
  return readSigningKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
}

// From the documentation of golang.org/x/mod/sumdb/note.
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_NOTE = `${GO_TEXT}
\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;

test("Go's example of a signed note is read with its verifier key", (t) => {
  const verifier = parseVerifier(GO_KEY);
  t.is(verifierText(verifier), GO_KEY);
  t.deepEqual(openNote(GO_NOTE, [verifier]), { text: GO_TEXT, verifier });
  const altered = GO_NOTE.replace('is the answer', 'is no answer');
  t.throws(() => openNote(altered, [verifier]), { instanceOf: NoteError, message: /wrong signature of PeterNeumann/ });
  t.throws(() => parseVerifier(GO_KEY.replace('c74f20a3', 'c74f20a4')), { instanceOf: NoteError });
});

test('openssl finds the signature of a note right, over its text alone', async (t) => {
  const folder = await tempFolder(t);
  const key = newKey();
  const note = signNote('example.org/log\n1\nAAAA\n', 'example.org/log', key);
  const [text = '', line = ''] = note.split('\n\n');
  const bytes = Buffer.from(line.trim().split(' ').at(-1) as string, 'base64');
  await writeFile(join(folder, 'text'), `${text}\n`);
  await writeFile(join(folder, 'signature'), bytes.subarray(4));
  await writeFile(join(folder, 'key.pem'), key.publicKey.pem);
  const args = ['pkeyutl', '-verify', '-pubin', '-inkey', 'key.pem', '-rawin', '-in', 'text', '-sigfile', 'signature'];
  t.regex(execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' }), /Verified Successfully/);
  const id = hash('sha256', Buffer.concat([Buffer.from('example.org/log\n\x01'), key.publicKey.raw]), 'hex');
  t.is(bytes.subarray(0, 4).toString('hex'), id.slice(0, 8));
});

test('a signature counts only of a key that is known, under its own name', (t) => {
  const [ours, theirs] = [newKey(), newKey()];
  const note = signNote('a text\n', 'us', ours);
  const known = { name: 'us', key: ours.publicKey };
  t.is(openNote(note, [{ name: 'them', key: theirs.publicKey }, known]).verifier, known);
  const both = `${note}${signNote('a text\n', 'them', theirs).split('\n\n')[1]}`;
  t.is(openNote(both, [known]).text, 'a text\n', 'what others signed beside it says nothing');
  for (const verifier of [
    { name: 'us', key: theirs.publicKey },
    { name: 'we', key: ours.publicKey },
  ])
    t.throws(() => openNote(note, [verifier]), { instanceOf: NoteError, message: /not signed by/ });
  t.throws(() => openNote(note, []), { instanceOf: NoteError });
  for (const bad of ['', 'a text\n', 'a text\n\n', 'a text\n\n- us AAAA\n', 'a text\n\n\u2014 us AAAA\n'])
    t.throws(() => openNote(bad, [known]), { instanceOf: NoteError }, JSON.stringify(bad));
  t.throws(() => signNote('a\n\nb\n', 'us', ours), { instanceOf: NoteError });
  t.throws(() => signNote('a\n', 'u+s', ours), { instanceOf: NoteError });
});

test('a checkpoint is origin, size and root; further lines are not looked at', (t) => {
  const root = leafHash(Buffer.from('x'));
  const checkpoint = { origin: 'artifact-store/sto_1', size: 20, root };
  const text = checkpointText(checkpoint);
  t.is(text, `artifact-store/sto_1\n20\n${root.toString('base64')}\n`);
  t.deepEqual(parseCheckpointText(text), checkpoint);
  t.deepEqual(parseCheckpointText(`${text}an extension\n`), checkpoint);
  t.deepEqual(readCheckpoint(signNote(text, checkpoint.origin, newKey())), checkpoint);
  for (const bad of [
    text.slice(0, -1),
    text.replace('20', '020'),
    text.replace('20', '-1'),
    `\n${text}`,
    'a\n1\nAA==\n',
  ])
    t.throws(() => parseCheckpointText(bad), { instanceOf: NoteError }, JSON.stringify(bad));
});

test('paths of tiles are those of the specification', (t) => {
  t.is(tilePath({ level: 0, n: 1_234_067, width: 256 }), 'tile/0/x001/x234/067');
  t.is(tilePath({ level: 1, n: 0, width: 1 }), 'tile/1/000.p/1');
  t.is(tilePath({ level: 'entries', n: 12, width: 5 }), 'tile/entries/012.p/5');
  for (const bad of [
    'tile/0/67',
    'tile/00/067',
    'tile/0/x000/067',
    'tile/0/067.p/256',
    'tile/0/067.p/0',
    'tile/0/067/..',
  ])
    t.is(parseTilePath(bad), null, bad);
  fc.assert(
    fc.property(
      fc.constantFrom<Array<number | 'entries'>>(0, 1, 7, 'entries'),
      fc.nat({ max: 10 ** 9 }),
      fc.integer({ min: 1, max: 256 }),
      (level, n, width) => {
        const tile = { level, n, width };
        t.deepEqual(parseTilePath(tilePath(tile)), tile);
      },
    ),
  );
});

test('a tree that grows in steps has the tiles of one that is made at once', (t) => {
  const leaves = Array.from({ length: 70_000 }, (_, nth) => leafHash(Buffer.from(String(nth))));
  const asTexts = (tiles: ReturnType<typeof growTiles>): Map<string, string> =>
    new Map(tiles.map(({ level, n, hashes }) => [`${level}/${n}`, Buffer.concat(hashes).toString('base64')]));
  for (const steps of [[70_000], [1, 255, 256, 65_024, 3, 4_461], [65_535, 1, 1, 4_463]]) {
    const tiles = new Map<string, Buffer[]>();
    let size = 0;
    for (const step of steps) {
      const edge = [0, 1, 2].map((level) => {
        const count = Math.floor(size / 256 ** level);
        return count % 256 === 0 ? [] : (tiles.get(`${level}/${Math.floor(count / 256)}`) ?? []);
      });
      const grown = growTiles(size, edge, leaves.slice(size, size + step));
      const named = grown.map(({ level, n, hashes }) => `${level}/${n}/${hashes.length}`);
      t.deepEqual(
        named.toSorted(),
        newTiles(size, size + step)
          .map(({ level, n, width }) => `${level}/${n}/${width}`)
          .toSorted(),
        'those that are to be written are those that grew',
      );
      for (const { level, n, hashes } of grown) tiles.set(`${level}/${n}`, hashes);
      size += step;
    }
    const inSteps = [...tiles].map(([name, hashes]) => ({ ...placeOf(name), hashes }));
    t.deepEqual(new Map([...asTexts(inSteps)].toSorted()), new Map([...asTexts(growTiles(0, [], leaves))].toSorted()));
  }
});

function placeOf(name: string): { level: number; n: number } {
  const [level, n] = name.split('/').map(Number) as [number, number];
  return { level, n };
}

test('a bundle gives its entries back, and bytes that are none give nothing', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 256 }), fc.nat(), (entries, cut) => {
      const bytes = bundleBytes(entries);
      t.deepEqual(
        parseBundle(bytes),
        entries.map((entry) => Buffer.from(entry)),
      );
      const shorter = bytes.subarray(0, cut % (bytes.length + 1));
      const some = parseBundle(shorter);
      t.true(some === null || bundleBytes(some).equals(shorter));
    }),
  );
  t.throws(() => bundleBytes([Buffer.alloc(65_536)]), { instanceOf: RangeError });
});

test('a proof says by itself which entry is in which log', async (t) => {
  const key = newKey();
  const entries = ['one', 'two', 'three'].map((text) => Buffer.from(text));
  const leaves = entries.map(leafHash);
  const read = hashReader(async () => [Buffer.concat(leaves)]);
  const origin = 'artifact-store/sto_1';
  const note = signNote(checkpointText({ origin, size: 3, root: rootOf(leaves) }), origin, key);
  const hashes = await inclusionProof(1, 3, read);
  const text = proofText({ entry: entries[1] as Buffer, index: 1, hashes, note });
  t.true(text.startsWith('c2sp.org/tlog-proof@v1\nextra dHdv\nindex 1\n'));
  const known = [{ name: origin, key: key.publicKey }];
  const { entry, index, checkpoint } = openProof(text, known);
  t.deepEqual([entry.toString(), index, checkpoint.size, checkpoint.origin], ['two', 1, 3, origin]);
  t.notThrows(() => openProof(text, null));
  const wrong = [
    text.replace('dHdv', 'dHdx'),
    text.replace('index 1', 'index 2'),
    text.replace('index 1', 'index 01'),
    text.replace(`${hashes[0]?.toString('base64')}\n`, ''),
    text.replace('@v1', '@v2'),
    text.replace(/^3$/m, '4'),
    '',
  ];
  for (const each of wrong) t.throws(() => openProof(each, known), { instanceOf: NoteError }, each);
});

const EVENT: LoggedEvent = {
  id: 'evt_1',
  at: '2026-01-02T03:04:05.678Z',
  actor: 'admin',
  action: 'hold.placed',
  package_id: null,
  subject_id: null,
  reason: 'because',
  detail: { b: 1, a: [] },
};

test('an entry is the canonical JSON of the event; a detail that is too long is in it by its digest', (t) => {
  const expected =
    '{"action":"hold.placed","actor":"admin","at":"2026-01-02T03:04:05.678Z","detail":{"a":[],"b":1},"id":"evt_1","package_id":null,"reason":"because","subject_id":null}';
  t.is(auditEntry(EVENT).toString(), expected);
  t.is(auditEntry({ ...EVENT, shown: 'beside it' } as LoggedEvent).toString(), expected);
  t.is(longDetail(EVENT), null);
  t.is(eventOfEntry(auditEntry(EVENT)), 'evt_1');
  t.is(eventOfEntry(Buffer.from('{"id":')), null);

  const long = { ...EVENT, detail: { paths: Array.from({ length: 1_000 }, (_, nth) => `${nth}`.padStart(100, 'x')) } };
  const detail = longDetail(long);
  const entry = JSON.parse(auditEntry(long).toString());
  t.true(auditEntry(long).length < 65_536);
  t.is(entry.detail_sha256, hash('sha256', detail?.bytes as Buffer, 'hex'));
  t.false('detail' in entry);
  t.deepEqual(JSON.parse(detail?.bytes.toString() as string), long.detail);
});
