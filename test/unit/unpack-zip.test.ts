import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { unpackZip } from '../../cli/bagit/unpack-zip.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';
import { type ZipEntry, zipFile, zipOf } from '../support/zip-file.ts';

const never = new AbortController().signal;
const BAGIT: ZipEntry = { name: 'bagit.txt', content: 'x' };

async function unpack(t: ExecutionContext, bytes: Buffer) {
  const folder = await tempFolder(t);
  const [file, into] = [join(folder, 'bag.zip'), join(folder, 'into')];
  await writeFile(file, bytes);
  await mkdir(into);
  return { into, folder, result: unpackZip(file, into, { signal: never }) };
}

test('stored and deflated entries, in the root or in one folder, come out as they went in', async (t) => {
  const files = {
    'bagit.txt': 'x',
    'data/back\\slash': 'b',
    'data/grüße': 'ü'.repeat(100_000),
    'data/large': 'x'.repeat(1_500_000),
    'data/empty': '',
  };
  for (const folder of ['', 'my bag/']) {
    for (const deflate of [true, false]) {
      const { into, folder: base, result } = await unpack(t, zipOf(files, folder, deflate));
      const { directory, folder: found } = await result;
      t.is(found, folder === '' ? null : 'my bag');
      t.is(directory, join(into, folder).replace(/\/$/, ''));
      t.deepEqual(await readTree(directory), await readTree(await writeTree(join(base, 'expected'), files)));
    }
  }
});

test('folders, modes and times', async (t) => {
  const entries = [
    { name: 'b/', mode: 0o040_755 },
    { ...BAGIT, name: 'b/bagit.txt', mode: 0o100_755 },
  ];
  const { result } = await unpack(t, zipFile(entries));
  const { mode, mtime } = await stat(join((await result).directory, 'bagit.txt'));
  t.is(mode & 0o777, 0o700);
  t.is(mtime.getFullYear(), 2025);
});

const BAD: Record<string, [ZipEntry[] | Buffer, RegExp]> = {
  'a path out of the folder': [[BAGIT, { name: '../x' }], /"\.\."/],
  'a path out of the folder, on its way': [[BAGIT, { name: 'a/../../x' }], /"\.\."/],
  'an absolute path': [[BAGIT, { name: '/etc/x' }], /absolute/],
  'a control character': [[BAGIT, { name: 'a\nb' }], /control character/],
  'a symlink': [[BAGIT, { name: 'l', content: '/etc/passwd', mode: 0o120_777 }], /symlink/],
  'a device': [[BAGIT, { name: 'l', mode: 0o020_644 }], /special/],
  'an encrypted entry': [[BAGIT, { name: 'e', flags: 0x0801, content: 'x'.repeat(12), size: 0 }], /encrypted/],
  'another method': [[BAGIT, { name: 'z', content: 'x', method: 93 }], /neither stored nor deflated/],
  'a name twice': [[BAGIT, { name: 'a' }, { name: 'a' }], /"a" twice/],
  'a file as a folder': [[BAGIT, { name: 'a' }, { name: 'a/b' }], /as a file and as a folder/],
  'a size that nothing packs into': [
    [BAGIT, { name: 'a', content: 'x', deflate: true, size: 1e9 }],
    /more bytes than it can hold/,
  ],
  'more bytes than it says': [
    [BAGIT, { name: 'a', content: 'x'.repeat(5_000), deflate: true, size: 5 }],
    /too many bytes/,
  ],
  'more bytes than it says, of a large file': [
    [BAGIT, { name: 'a', content: 'x'.repeat(3_000_000), deflate: true, size: 2_000_000 }],
    /too many bytes/,
  ],
  'another CRC-32, of a large file': [
    [BAGIT, { name: 'a', content: 'x'.repeat(3_000_000), deflate: true, crc: 1 }],
    /"a" has another CRC-32/,
  ],
  'bytes that are not deflated': [
    [BAGIT, { name: 'a', content: '\u0007nonsense', method: 8, size: 9 }],
    /The ZIP file is damaged/,
  ],
  'fewer bytes than it says': [[BAGIT, { name: 'a', content: 'x', deflate: true, size: 50 }], /not enough bytes/],
  'another CRC-32': [[BAGIT, { name: 'a', content: 'x', crc: 1 }], /"a" has another CRC-32/],
  'entries that share their bytes': [
    [
      { name: 'bagit.txt', content: '\0'.repeat(9_000_000), deflate: true },
      ...Array.from({ length: 20 }, (_, nth) => ({
        name: `same ${nth}`,
        content: '\0'.repeat(9_000_000),
        deflate: true,
        sameAs: 0,
      })),
    ],
    /overlap/,
  ],
  'no bagit.txt': [[{ name: 'x/data/y' }], /no bagit\.txt/],
  'bagit.txt in one of two folders': [[{ ...BAGIT, name: 'b/bagit.txt' }, { name: '__MACOSX/x' }], /no bagit\.txt/],
  'bagit.txt too deep': [[{ ...BAGIT, name: 'a/b/bagit.txt' }], /no bagit\.txt/],
  'no ZIP file': [Buffer.from('PK nothing of the sort'), /cannot be read/],
  'a ZIP file that was cut off': [zipFile([BAGIT]).subarray(0, -30), /cannot be read/],
};

for (const [name, [content, says]] of Object.entries(BAD)) {
  test(`refused: ${name}`, async (t) => {
    const { into, result } = await unpack(t, Buffer.isBuffer(content) ? content : zipFile(content));
    const damaged = /CRC|damaged/.test(says.source);
    const code = damaged ? 'integrity_failure' : 'bag_invalid';
    await t.throwsAsync(result, { code, message: says });
    // What shows in the names and sizes is refused before anything is written.
    if (!damaged && !/many bytes|enough bytes|cannot be read/.test(says.source)) t.deepEqual(await readdir(into), []);
  });
}
