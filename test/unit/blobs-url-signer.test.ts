import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { type DownloadFields, type PartFields, urlSigner } from '../../src/blobs/url-signer.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import type { UploadId } from '../../src/core/ids.ts';

const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const partFields: fc.Arbitrary<PartFields> = fc.record({
  uploadId: fc.string() as unknown as fc.Arbitrary<UploadId>,
  number: fc.nat(),
  digest: fc.string().map((text) => digestOf(text)),
  size,
  expires: fc.integer({ min: 1, max: 8.64e15 }),
});
const downloadFields: fc.Arbitrary<DownloadFields> = fc.record({
  objectId: fc.string(),
  range: fc.option(fc.record({ offset: size, size }), { nil: undefined }),
  expires: fc.integer({ min: 1, max: 8.64e15 }),
});

const signer = urlSigner(randomBytes(32));

test('what was signed is accepted until it expires, and not a moment longer', (t) => {
  fc.assert(
    fc.property(partFields, downloadFields, (part, download) => {
      const signedPart = { ...part, signature: signer.signPart(part) };
      const signedDownload = { ...download, signature: signer.signDownload(download) };
      signer.verifyPart({ ...signedPart, now: part.expires - 1 });
      signer.verifyDownload({ ...signedDownload, now: download.expires - 1 });
      const expired = t.throws(() => signer.verifyPart({ ...signedPart, now: part.expires }));
      const over = t.throws(() => signer.verifyDownload({ ...signedDownload, now: download.expires }));
      return isStoreError(expired, 'url_expired') && isStoreError(over, 'url_expired');
    }),
  );
});

test('a signature matches only its own fields', (t) => {
  fc.assert(
    fc.property(partFields, partFields, downloadFields, downloadFields, (a, b, c, d) => {
      if (JSON.stringify(a) !== JSON.stringify(b)) t.not(signer.signPart(a), signer.signPart(b));
      if (JSON.stringify(c) !== JSON.stringify(d)) t.not(signer.signDownload(c), signer.signDownload(d));
      t.not(signer.signPart(a), signer.signDownload(c));
      t.not(signer.signPart(a), urlSigner(randomBytes(32)).signPart(a));
    }),
  );
});

test('any other signature is invalid_signature, also on a URL that has expired', (t) => {
  const fields: DownloadFields = { objectId: 'obj_1', range: { offset: 0, size: 10 }, expires: 1_000 };
  const signature = signer.signDownload(fields);
  const others = ['', signature.slice(1), `${signature}=`, `${signature} `, signature.toUpperCase(), 'ü'.repeat(43)];
  for (const other of others) {
    for (const now of [0, 2_000]) {
      const error = t.throws(() => signer.verifyDownload({ ...fields, signature: other, now }));
      t.true(isStoreError(error, 'invalid_signature'), other);
    }
  }
  for (const change of [
    { range: undefined },
    { range: { offset: 0, size: 11 } },
    { expires: 3_000 },
    { objectId: 'x' },
  ]) {
    const error = t.throws(() => signer.verifyDownload({ ...fields, ...change, signature, now: 0 }));
    t.true(isStoreError(error, 'invalid_signature'), JSON.stringify(change));
  }
});
