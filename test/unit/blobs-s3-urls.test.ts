import test from 'ava';
import fc from 'fast-check';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { bucketAddress } from '../../src/blobs/s3/bucket-address.ts';
import { keyNames } from '../../src/blobs/s3/key-names.ts';
import { partRequest } from '../../src/blobs/s3/part-requests.ts';
import { formatUploadName, parseUploadName } from '../../src/blobs/s3/upload-name.ts';
import { urlSigning, validity } from '../../src/blobs/s3/url-signing.ts';
import { digestOf } from '../../src/core/digest.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';

const REGION = { region: 'eu-central-1', bucket: 'evidence' };
const KEY = blobKey(digestOf('x'), newId('upl', 1) as UploadId);

test('addresses: path style, host style, a port, a path before the bucket, AWS', (t) => {
  const path = bucketAddress('http://ceph:7480', { ...REGION, forcePathStyle: true });
  t.deepEqual([path.host, path.path('a/b'), path.path()], ['ceph:7480', '/evidence/a/b', '/evidence']);
  const host = bucketAddress('https://ceph.example:443/', { ...REGION, forcePathStyle: false });
  t.deepEqual([host.host, host.path('a/b'), host.path()], ['evidence.ceph.example', '/a/b', '/']);
  const below = bucketAddress('https://proxy/s3/', { ...REGION, forcePathStyle: true });
  t.is(below.path("a'(b) c"), '/s3/evidence/a%27%28b%29%20c');
  t.is(bucketAddress(null, { ...REGION, forcePathStyle: true }).host, 's3.eu-central-1.amazonaws.com');
  t.throws(() => bucketAddress('ftp://ceph', { ...REGION, forcePathStyle: true }));
  t.throws(() => bucketAddress('ceph:7480', { ...REGION, forcePathStyle: true }));
});

test('the prefix goes before every key and comes off again', (t) => {
  for (const prefix of [null, '', '/', 'team', 'team/', '/Team/store.1/']) {
    const names = keyNames(prefix);
    t.is(names.toKey(names.toName(KEY)), KEY);
    t.true(names.toName(KEY).startsWith(names.toNamePrefix('objects/')));
    t.false(names.toName(KEY).includes('//'));
  }
  t.is(keyNames('team').toKey(KEY), null, 'outside the prefix');
  t.is(keyNames('team').toKey('team/Not A Key'), null);
  t.is(keyNames('team').toKey('teamobjects/x'), null);
  for (const bad of ['a//b', '..', 'a/../b', 'ü', 'a b', 'a\u0000']) t.throws(() => keyNames(bad), undefined, bad);
  t.throws(() => keyNames(null).toName('../x' as ObjectKey));
});

test('a URL ends when it is to end, whatever the clock says, and within seven days', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -1e9, max: 3e9 }), (now, left) => {
      const expiresAt = Math.max(1_000, now + left);
      const { signedAt, seconds } = validity(now, expiresAt);
      const end = signedAt + seconds * 1_000;
      return seconds >= 1 && seconds <= 604_800 && signedAt <= now && end <= expiresAt && signedAt % 1_000 === 0;
    }),
  );
  t.deepEqual(validity(10_500, 20_900), { signedAt: 10_000, seconds: 10 });
  t.deepEqual(validity(20_000, 10_000), { signedAt: 9_000, seconds: 1 });
});

test('a part URL signs host, length and hash as headers, and the checksum where the upload has one', async (t) => {
  const address = bucketAddress('http://ceph:7480', { ...REGION, forcePathStyle: true });
  const sign = urlSigning('us-east-1', async () => ({ accessKeyId: 'key', secretAccessKey: 's' }), Date.now);
  const part = { number: 3, digest: digestOf('x'), size: 1 };
  for (const checksums of [false, true]) {
    const upload = parseUploadName(formatUploadName({ s3Id: '2~a/b+c', checksums }));
    const expiresAt = Date.now() + 60_000;
    const request = await sign(partRequest(address, 'objects/x', upload, part, expiresAt));
    const { host, pathname, searchParams: query } = new URL(request.url);
    t.deepEqual(
      [host, pathname, query.get('partNumber'), query.get('uploadId')],
      ['ceph:7480', '/evidence/objects/x', '3', '2~a/b+c'],
    );
    const signed = `content-length;host;${checksums ? 'x-amz-checksum-sha256;' : ''}x-amz-content-sha256`;
    t.is(query.get('X-Amz-SignedHeaders'), signed);
    t.deepEqual(
      Object.keys(request.headers).sort(),
      signed.split(';').filter((name) => name !== 'host'),
    );
    t.is(request.headers['x-amz-content-sha256'], part.digest.slice(7));
    t.true(request.expiresAt <= expiresAt && request.expiresAt > expiresAt - 1_000);
  }
});
