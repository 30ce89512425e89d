import { hash } from 'node:crypto';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { packageOf } from '../../cli/bagit/bag-package.ts';
import { readBag } from '../../cli/bagit/read-bag.ts';
import { bagInfoMember, bagInfoText, fieldsOfMember, parseBagInfo } from '../../src/core/bag-info.ts';
import { type BaggedPackage, bagFolder, bagInfo, bagPlaces } from '../../src/core/bag-layout.ts';
import { bagManifestLine, decodeBagPath, encodeBagPath } from '../../src/core/bag-names.ts';
import type { JsonObject } from '../../src/core/canonical-json.ts';
import { type BagFiles, bagFiles, withFile, writeBag } from '../support/bags.ts';
import { tempFolder } from '../support/temp.ts';

const never = new AbortController().signal;

async function read(t: ExecutionContext, files: BagFiles) {
  const folder = join(await tempFolder(t), 'bag');
  await writeBag(folder, files);
  return readBag(folder, { signal: never });
}

async function refusal(t: ExecutionContext, files: BagFiles): Promise<{ code: string; exit: number; message: string }> {
  const error = (await t.throwsAsync(read(t, files))) as Error & { code: string; exit: number };
  return { code: error.code, exit: error.exit, message: error.message };
}

const md5 = { version: '0.97', algorithms: ['md5'] };
const utf16 = (text: string) => Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()]);

/** The cases of the Library of Congress's conformance suite (and what RFC 8493 says beside them), made here. */
const VALID: Record<string, BagFiles> = {
  'v1.0 basicBag': bagFiles({ algorithms: ['sha512'] }),
  'v1.0 two manifests': bagFiles({ algorithms: ['sha256', 'sha512'] }),
  'v1.0 without bag-info and tag manifest': bagFiles({ info: null, tagManifests: false }),
  'v1.0 empty payload file, further tag files, an unlisted one': {
    ...bagFiles({ payload: { empty: '' }, tags: { 'metadata/mets.xml': '<mets/>' } }),
    'unlisted-tag.txt': 'nobody lists it',
  },
  'v1.0 CR LF and CR as line ends': bagFiles({
    info: 'A: b\r\n  folded\r\nC: d\r\n',
    encode: (text) => Buffer.from(text.replaceAll('\n', '\r')),
  }),
  'v1.0 byte order mark in a tag file': bagFiles({ encode: (text) => Buffer.from(`\ufeff${text}`) }),
  'v1.0 percent in names': bagFiles({ payload: { '100% %0A': 'x' }, write: encodeBagPath }),
  'v1.0 name in NFD, listed in NFC': bagFiles({
    payload: { 'u\u0308ber': 'x' },
    write: (path) => path.normalize('NFC'),
  }),
  'v1.0 Payload-Oxum': bagFiles({ payload: { a: '12345', b: '67' }, info: 'payload-oxum: 7.2\n' }),
  'v1.0 upper-case digests': withFile(bagFiles({ tagManifests: false }), 'manifest-sha256.txt', (text) =>
    text.replace(/^\w+/gm, (hex) => hex.toUpperCase()),
  ),
  'v0.97 minimal-bag': bagFiles({ ...md5, info: null, tagManifests: false, payload: { x: '' } }),
  'v0.97 basic-bag-sha1': bagFiles({ version: '0.97', algorithms: ['sha1'] }),
  'v0.97 basic-bag-sha224': bagFiles({ version: '0.97', algorithms: ['sha224'] }),
  'v0.97 basic-bag-sha256': bagFiles({ version: '0.97' }),
  'v0.97 duplicate-metadata-entries': bagFiles({ ...md5, info: 'Contact-Name: A\nContact-Name: B\n' }),
  'v0.97 uncommon-metadata-separators': bagFiles({ ...md5, info: 'A:b\nC :d\nE\t:\tf\nG:\n' }),
  'v0.97 UTF-16-encoded-tag-files': bagFiles({ ...md5, encoding: 'UTF-16', encode: utf16 }),
  'v0.97 ISO-8859-1-encoded-tag-files': bagFiles({
    ...md5,
    encoding: 'ISO-8859-1',
    info: 'Contact-Name: Jürgen\n',
    encode: (text) => Buffer.from(text, 'latin1'),
  }),
  'v0.97 bag-with-leading-dot-slash-in-manifest': bagFiles({ ...md5, write: (path) => `./${path}` }),
  'v0.97 made-with-md5sum-tools': bagFiles({ ...md5, write: (path) => `*${path}` }),
  'v0.97 bag-with-space': bagFiles({ ...md5, payload: { 'a  b ': 'x', ' c': 'y' } }),
  'v0.97 bag-with-encoded-names': bagFiles({ ...md5, payload: { '100%25': 'a percent sign is one' } }),
  'v0.97 bag-in-a-bag': bagFiles({
    ...md5,
    payload: Object.fromEntries(Object.entries(bagFiles()).map(([path, bytes]) => [`inner/${path}`, bytes])),
  }),
  'v0.97 same-filename-listed-twice-with-the-same-hash': withFile(
    bagFiles({ ...md5, tagManifests: false }),
    'manifest-md5.txt',
    (text) => text + text,
  ),
  'v0.97 each file in one of two manifests': withFile(
    withFile(
      bagFiles({ version: '0.97', algorithms: ['md5', 'sha1'], tagManifests: false }),
      'manifest-md5.txt',
      (text) => text.replace(/^.*bare.*\n/m, ''),
    ),
    'manifest-sha1.txt',
    (text) => text.replace(/^.*text-file.*\n/m, ''),
  ),
};

for (const [name, files] of Object.entries(VALID)) {
  test(`valid: ${name}`, async (t) => {
    const bag = await read(t, files);
    t.is(bag.files.length, Object.keys(files).length);
  });
}

const plain = bagFiles({ tagManifests: false });
const plainMd5 = bagFiles({ ...md5, tagManifests: false });
const listing = (path: string) => (text: string) => `${text}${'0'.repeat(64)}  ${path}\n`;
const bagit = (text: string | Buffer) => withFile(plain, 'bagit.txt', () => text);

/** What is no bag, or none that is taken: exit 1, and the file is named. */
const BAD: Record<string, [BagFiles, RegExp]> = {
  'missing-bagit.txt': [withFile(plain, 'bagit.txt', () => null), /no bagit\.txt/],
  'bom-in-bagit.txt': [withFile(plain, 'bagit.txt', (text) => `\ufeff${text}`), /bagit\.txt .*byte order mark/],
  'baginfo-missing-encoding': [bagit('BagIt-Version: 1.0\n'), /bagit\.txt .*Encoding/],
  'invalid-version-number': [bagit('BagIt-Version: .97\nTag-File-Character-Encoding: UTF-8\n'), /bagit\.txt/],
  'bagit-with-invalid-whitespace': [bagit('BagIt-Version : 1.0\nTag-File-Character-Encoding: UTF-8\n'), /bagit\.txt/],
  'a version of the future': [bagit('BagIt-Version: 2.0\nTag-File-Character-Encoding: UTF-8\n'), /not known/],
  'an unknown encoding': [bagit('BagIt-Version: 1.0\nTag-File-Character-Encoding: EBCDIC-X\n'), /EBCDIC-X/],
  'more lines in bagit.txt': [bagit(`${plain['bagit.txt']}More: text\n`), /two lines/],
  'text in another encoding than it says': [
    withFile(plain, 'bag-info.txt', () => Buffer.from('A: \xff\n', 'latin1')),
    /bag-info\.txt.*UTF-8/,
  ],
  'holey-bag, fetch.txt': [{ ...plain, 'fetch.txt': 'http://example.org/x - data/x\n' }, /fetch\.txt/],
  'local-fetch': [{ ...plain, 'fetch.txt': '' }, /fetch\.txt/],
  'no manifest': [withFile(plain, 'manifest-sha256.txt', () => null), /no payload manifest/],
  'only a manifest that nobody knows': [
    { ...withFile(plain, 'manifest-sha256.txt', () => null), 'manifest-crc32.txt': 'x' },
    /no payload manifest .*manifest-crc32\.txt/,
  ],
  'out-of-scope: dots': [withFile(plain, 'manifest-sha256.txt', listing('../../README.md')), /line 4: .*"\.\."/],
  'out-of-scope: dots below data': [withFile(plain, 'manifest-sha256.txt', listing('data/../../x')), /line 4/],
  'out-of-scope: absolute': [withFile(plain, 'manifest-sha256.txt', listing('/tmp/foo')), /absolute/],
  'out-of-scope: home': [withFile(plain, 'manifest-sha256.txt', listing('~/foo')), /home/],
  'out-of-scope: home of root': [withFile(plain, 'manifest-sha256.txt', listing('~root/foo')), /home/],
  'out-of-scope: Windows': [withFile(plain, 'manifest-sha256.txt', listing('C:\\Windows\\setx.exe')), /Windows/],
  'out-of-scope: UNC': [withFile(plain, 'manifest-sha256.txt', listing('\\\\?\\UNC\\server\\x')), /Windows/],
  'out-of-scope: a variable': [withFile(plain, 'manifest-sha256.txt', listing('%HomeDrive%\\x')), /no payload/],
  'a tag file in the payload manifest': [withFile(plain, 'manifest-sha256.txt', listing('bag-info.txt')), /no payload/],
  'a payload file in the tag manifest': [
    { ...plain, 'tagmanifest-sha256.txt': `${'0'.repeat(64)}  data/bare-filename\n` },
    /tag manifest/,
  ],
  'a tag manifest in itself': [
    { ...plain, 'tagmanifest-sha256.txt': `${'0'.repeat(64)}  tagmanifest-sha256.txt\n` },
    /tag manifest/,
  ],
  'same-filename-listed-twice-with-different-hashes': [
    withFile(plain, 'manifest-sha256.txt', listing('data/bare-filename')),
    /listed twice/,
  ],
  'v0.97 same-filename-listed-twice-with-different-hashes': [
    withFile(plainMd5, 'manifest-md5.txt', (text) => `${text}${'0'.repeat(32)}  data/bare-filename\n`),
    /listed twice, with two digests/,
  ],
  'v1.0 listed twice': [withFile(plain, 'manifest-sha256.txt', (text) => text + text), /line 4: .*twice/],
  'a digest of another length': [withFile(plain, 'manifest-sha256.txt', (text) => text.slice(1)), /line 1/],
  'a line that is none': [withFile(plain, 'manifest-sha256.txt', (text) => `${text}nonsense\n`), /line 4/],
  'a line without an end': [
    withFile(plain, 'manifest-sha256.txt', (text) => `${text}${'0'.repeat(70_000)}`),
    /manifest-sha256\.txt/,
  ],
  'a name with a line break, which no package can hold': [
    withFile(plain, 'manifest-sha256.txt', listing('data/a%0Ab')),
    /control character/,
  ],
  'bag-info that is none': [withFile(plain, 'bag-info.txt', () => 'no field\n'), /bag-info\.txt, line 1/],
  'bag-info that begins with a folded line': [withFile(plain, 'bag-info.txt', () => '  folded\n'), /line 1/],
  'two Payload-Oxum': [
    withFile(plain, 'bag-info.txt', () => 'Payload-Oxum: 1.1\nPayload-Oxum: 1.1\n'),
    /more than one Payload-Oxum/,
  ],
};

for (const [name, [files, says]] of Object.entries(BAD)) {
  test(`no bag: ${name}`, async (t) => {
    const { code, exit, message } = await refusal(t, files);
    t.deepEqual([code, exit], ['bag_invalid', 1], message);
    t.regex(message, says);
  });
}

const withTags = bagFiles();
/** What is a bag, and not whole: exit 5. */
const DAMAGED: Record<string, [BagFiles, RegExp]> = {
  'corrupt-data-file': [
    withFile(withTags, 'data/bare-filename', () => 'fox\n'),
    /"data\/bare-filename" has the sha256/,
  ],
  'corrupt-tag-file': [withFile(withTags, 'bag-info.txt', () => 'A: b\n'), /"bag-info\.txt" has the sha256/],
  'extra-file-in-bag': [{ ...withTags, 'data/bar': '' }, /"data\/bar" is in the bag/],
  'missing-baginfo': [withFile(withTags, 'bag-info.txt', () => null), /"bag-info\.txt" is missing/],
  'a missing payload file': [withFile(withTags, 'data/sub/dir/x', () => null), /"data\/sub\/dir\/x" is missing/],
  'missing-from-manifest': [
    withFile(bagFiles({ algorithms: ['sha256', 'sha512'], tagManifests: false }), 'manifest-sha512.txt', (text) =>
      text.replace(/^.*bare.*\n/m, ''),
    ),
    /manifest-sha512\.txt does not list it/,
  ],
  'right by one manifest, wrong by the other': [
    withFile(bagFiles({ algorithms: ['sha256', 'sha512'], tagManifests: false }), 'manifest-sha512.txt', (text) =>
      text.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    ),
    /has the sha512/,
  ],
  'another Payload-Oxum': [bagFiles({ info: 'Payload-Oxum: 1.1\n' }), /Payload-Oxum 10\.3, .* 1\.1/],
};

for (const [name, [files, says]] of Object.entries(DAMAGED)) {
  test(`damaged: ${name}`, async (t) => {
    const { code, exit, message } = await refusal(t, files);
    t.deepEqual([code, exit], ['integrity_failure', 5], message);
    t.regex(message, says);
  });
}

test('all that is damaged is told at once', async (t) => {
  const files = withFile({ ...withTags, 'data/new': '' }, 'data/text-file.txt', () => 'other');
  const error = await t.throwsAsync(
    read(
      t,
      withFile(files, 'data/bare-filename', () => null),
    ),
  );
  const { problems } = (error as unknown as { extras: { problems: Array<{ path: string; how: string }> } }).extras;
  t.deepEqual(problems.map(({ path, how }) => `${how} ${path}`).sort(), [
    'changed data/text-file.txt',
    'missing data/bare-filename',
    'unlisted data/new',
  ]);
});

test('what is odd is told: digests that can be forged, other Unicode forms, manifests that nobody knows', async (t) => {
  const say = async (files: BagFiles) => (await read(t, files)).warnings.join('\n');
  t.is(await say(withTags), '');
  t.regex(await say(plainMd5), /md5 digests alone/);
  t.is(await say(bagFiles({ algorithms: ['md5', 'sha256'] })), '', 'not alone');
  t.regex(await say({ ...plain, 'manifest-sha3512.txt': 'x' }), /manifest-sha3512\.txt was not checked/);
  t.regex(await say(VALID['v1.0 name in NFD, listed in NFC'] as BagFiles), /another Unicode form/);
});

test('symlinks are refused, and an empty payload folder is a payload', async (t) => {
  const folder = join(await tempFolder(t), 'bag');
  await writeBag(folder, bagFiles({ payload: {}, tagManifests: false }));
  await t.throwsAsync(readBag(folder, { signal: never }), { code: 'bag_invalid', message: /no folder data/ });
  await mkdir(join(folder, 'data'));
  t.is((await readBag(folder, { signal: never })).files.length, 3);
  await symlink('/etc/passwd', join(folder, 'data/passwd'));
  await t.throwsAsync(readBag(folder, { signal: never }), { code: 'file_refused', message: /symlink/ });
  await rm(join(folder, 'data/passwd'));
});

test('a bag as a package: payload without data/, tag files beside it, bag-info in the metadata', async (t) => {
  const info = 'External-Identifier: acc-17\nContact-Name: A\nContact-name: B\nBag-Size: 1\n  MB\n';
  const bag = await read(t, bagFiles({ info, payload: { 'a.txt': 'a', '.BagIt/x': 'taken', z: '' } }));
  const { files, metadata, externalId, notes } = packageOf(bag);
  t.deepEqual(
    Array.from(files, ({ path }) => path as string),
    [
      '.BagIt/x',
      '.bagit~2/bag-info.txt',
      '.bagit~2/bagit.txt',
      '.bagit~2/manifest-sha256.txt',
      '.bagit~2/tagmanifest-sha256.txt',
      'a.txt',
      'z',
    ],
  );
  t.is(externalId, 'acc-17');
  t.deepEqual(notes, []);
  t.deepEqual(metadata, {
    bagit: {
      version: '1.0',
      encoding: 'UTF-8',
      algorithms: ['sha256'],
      tag_folder: '.bagit~2',
      info: { 'External-Identifier': 'acc-17', 'Contact-Name': ['A', 'B'], 'Bag-Size': '1 MB' },
    },
  });
});

test('names: what is written is read again, whatever it holds; CR, LF and % are encoded and nothing else', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('%', '\r', '\n', '0', 'A', 'D', '2', '5', 'ü', '/', ' ') }),
      (path) => {
        const written = encodeBagPath(path);
        t.notRegex(written, /[\r\n]/);
        t.is(decodeBagPath(written, { encodesPercent: true }), path);
      },
    ),
  );
  t.is(encodeBagPath('a\r\n%b \u0308é'), 'a%0D%0A%25b \u0308é');
  t.is(decodeBagPath('%0a%25%41', { encodesPercent: false }), '\n%25%41');
  t.is(bagManifestLine('00', 'data/x%'), '00  data/x%25\n');
});

test('bag-info: fields that are written are read again', (t) => {
  const label = fc.stringMatching(/^[A-Za-z][A-Za-z0-9 -]{0,20}[A-Za-z]$/);
  const value = fc.string({ maxLength: 60 }).map((text) => text.replace(/\s+/g, ' ').trim());
  fc.assert(
    fc.property(fc.array(fc.record({ label, value }), { maxLength: 8 }), (fields) => {
      const lines = bagInfoText(fields).split('\n').slice(0, -1);
      t.deepEqual(parseBagInfo(lines), fields);
    }),
  );
  t.deepEqual(fieldsOfMember(bagInfoMember([{ label: '__proto__', value: 'x' }])), [
    { label: '__proto__', value: 'x' },
  ]);
  t.deepEqual(fieldsOfMember({ 'a\nb': 'x', c: [1, 'y'], ' d': 'z', 'e:f': 'g' }), [{ label: 'c', value: 'y' }]);
  t.is(bagInfoText([{ label: 'A', value: 'x\r\n  y\nForged: z' }]), 'A: x y Forged: z\n', 'no field out of a value');
});

const PACKAGE: BaggedPackage = {
  id: 'pkg_1',
  name: 'run 17',
  producer: 'nightly',
  subject: 'the subject',
  external_id: 'build-17',
  metadata: {},
  retention_class: 'raw-evidence',
  manifest_digest: `sha256:${hash('sha256', 'm')}`,
  finalized_at: Date.UTC(2026, 4, 13, 21, 2, 55),
};

test('the bag of a package says what the package is, and what the bag that it came as said of its content', (t) => {
  t.is(
    bagInfo(PACKAGE, { files: 3, bytes: 2_168 }, null),
    `Source-Organization: nightly
External-Identifier: build-17
External-Description: run 17: the subject
Bagging-Date: 2026-05-13
Bag-Software-Agent: artifact-store
Payload-Oxum: 2168.3
Artifact-Store-Package: pkg_1
Artifact-Store-Name: run 17
Artifact-Store-Producer: nightly
Artifact-Store-Subject: the subject
Artifact-Store-Manifest: ${PACKAGE.manifest_digest}
Artifact-Store-Finalized: 2026-05-13T21:02:55.000Z
Artifact-Store-Retention-Class: raw-evidence
`,
  );
  const info = {
    'Source-Organization': 'An archive',
    'Payload-Oxum': '1.1',
    'Artifact-Store-Package': 'pkg_forged',
    'External-Identifier': 'build-17',
    'Contact-Name': ['A', 'B'],
  };
  const came = { ...PACKAGE, metadata: { bagit: { tag_folder: '.bagit', info } } };
  const text = bagInfo(came, { files: 1, bytes: 0 }, 'a/*');
  t.regex(text, /^Source-Organization: An archive$/m);
  t.regex(text, /Contact-Name: A\nContact-Name: B\n/);
  t.regex(text, /^Artifact-Store-Selection: a\/\*$/m);
  t.is(text.match(/^(?:External-Identifier|Source-Organization|Payload-Oxum|Artifact-Store-Package):/gm)?.length, 4);
});

test('tag files of the bag that a package came as are tag files again, and never in place of its own', (t) => {
  const place = bagPlaces({ metadata: { bagit: { tag_folder: '.bagit' } } });
  const at = (path: string) => place(path, path).path;
  t.deepEqual(place('a/b', 'a/b'), { path: 'data/a/b', isPayload: true });
  t.deepEqual(place('.bagit/metadata/mets.xml', '.bagit/metadata/mets.xml'), {
    path: 'metadata/mets.xml',
    isPayload: false,
  });
  const own = [
    'bagit.txt',
    'BAG-INFO.TXT',
    'manifest-md5.txt',
    'tagmanifest-sha256.txt',
    'fetch.txt',
    'data',
    'Data/x',
  ];
  for (const name of [...own, 'artifact-store/manifest.json', 'artifact-store'])
    t.is(at(`.bagit/${name}`), `artifact-store/ingested/${name}`);
  const others: JsonObject[] = [{}, { bagit: 'x' }, { bagit: { tag_folder: 'a/b' } }, { bagit: { tag_folder: '' } }];
  for (const metadata of others) t.true(bagPlaces({ metadata })('a/b/c', 'a/b/c').isPayload);
  t.is(bagFolder({ name: `${'ü'.repeat(300)}` }).length, 100);
  t.is(bagFolder({ name: 'a/b: c.' }), 'a_b_ c_');
});
