import test from 'ava';
import type { ManifestFile, ManifestPackage } from '../../src/core/manifest.ts';
import { manifestChunks } from '../../src/core/manifest.ts';
import { ManifestError, readManifest } from '../../src/core/read-manifest.ts';

const PKG: ManifestPackage = {
  id: `pkg_${'0'.repeat(12)}7000800000000000000${'0'}`,
  name: 'a run',
  producer: 'tests',
  subject: null,
  external_id: 'x',
  supersedes: null,
  created_at: '2026-01-01T00:00:00.000Z',
  finalized_at: '2026-01-01T00:00:01.000Z',
  retention_class: 'transient',
  metadata: { a: { b: ['ü'] } },
};
const FILES: ManifestFile[] = Array.from({ length: 50 }, (_, n) => ({
  path: `dir/ä ${String(n).padStart(3, '0')}`,
  sha256: 'ab'.repeat(32),
  size: n,
  media_type: 'text/plain',
  ...(n % 2 === 0 ? { mtime: '2026-01-01T00:00:00Z' } : { executable: true as const }),
}));

async function textOf(files = FILES, pkg: ManifestPackage = PKG): Promise<string> {
  const chunks: Buffer[] = [];
  async function* pages() {
    yield files;
  }
  for await (const chunk of manifestChunks(pkg, pages())) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function read(text: string, step = 1_000): Promise<{ files: ManifestFile[]; pkg: ManifestPackage }> {
  const bytes = Buffer.from(text);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  }
  const reader = readManifest(pieces());
  const files: ManifestFile[] = [];
  let page = await reader.next();
  for (; !page.done; page = await reader.next()) files.push(...page.value);
  return { files, pkg: page.value };
}

test('a manifest is read as it was written, in pieces of any size', async (t) => {
  const text = await textOf();
  for (const step of [1, 7, 100, 1e6]) t.deepEqual(await read(text, step), { files: FILES, pkg: PKG });
});

test('what is no manifest is refused, whatever it says', async (t) => {
  const text = await textOf();
  const spoilt = [
    text.slice(0, -1),
    text.slice(0, 300),
    '',
    'null',
    '[]',
    text.replace('manifest/v1', 'manifest/v9'),
    text.replace('"dir/ä 007"', '"../etc/passwd"'),
    text.replace('"dir/ä 007"', '"dir/ä 003"'),
    text.replace('abab', 'ABAB'),
    text.replace('"size":7', '"size":-7'),
    text.replace('"size":7', '"size":"7"'),
    text.replace('"producer":"tests"', '"producer":null'),
    text.replace('2026-01-01T00:00:01.000Z', 'never'),
    text.replace('"metadata":{', '"metadata":[],"more":{'),
  ];
  for (const [nth, one] of spoilt.entries()) await t.throwsAsync(read(one), { instanceOf: ManifestError }, `${nth}`);
});
