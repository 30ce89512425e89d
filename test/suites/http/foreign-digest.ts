import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { parseDigest } from '../../../src/core/digest.ts';
import { isStoreError } from '../../../src/core/errors.ts';
import type { PackageId, UploadId } from '../../../src/core/ids.ts';
import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { commitUpload } from '../../../src/usecases/commit-upload.ts';
import { createPackage } from '../../../src/usecases/create-package.ts';
import { deletePackage } from '../../../src/usecases/delete-package.ts';
import { finalizePackage } from '../../../src/usecases/finalize-package.ts';
import { getRetention } from '../../../src/usecases/get-retention.ts';
import { listAudit } from '../../../src/usecases/list-audit.ts';
import { listFiles } from '../../../src/usecases/list-files.ts';
import { getPackage, listPackages } from '../../../src/usecases/list-packages.ts';
import { planDownloads } from '../../../src/usecases/plan-downloads.ts';
import { planUploads } from '../../../src/usecases/plan-uploads.ts';
import { putFile } from '../../../src/usecases/put-file.ts';
import { readFile, readManifest } from '../../../src/usecases/read-file.ts';
import { registerFiles } from '../../../src/usecases/register-files.ts';
import type { Caller, Services } from '../../../src/usecases/services.ts';
import { sha256 } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';

/**
 * Invariant 7: knowing a digest is worth nothing. Mallory may read its own producer's packages only, and knows the digest
 * and size of Alice's secret.
 */

const alice: Caller = { actor: 'alice', reads: { producers: ['alice'] }, scopes: SCOPES };
const mallory: Caller = { actor: 'mallory', reads: { producers: ['mallory'] }, scopes: SCOPES };
const path = parseLogicalPath('secret');

export function foreignDigestSuite(startTestService: StartTestService): void {
  const test = testWith<{ service: TestService; services: Services<BlobStore> }>(async () => {
    const service = await startTestService();
    return { service, services: service.services };
  });

  async function packageOf(services: Services<BlobStore>, caller: Caller): Promise<PackageId> {
    const { pkg } = await createPackage(services, caller, { name: 'n', producer: caller.actor });
    return pkg.id;
  }

  async function* body(text: string) {
    yield Buffer.from(text);
  }

  /** Everything that Mallory can try with a package of its own that names Alice's digest. */
  async function attack(
    t: {
      is: (a: unknown, b: unknown, m?: string) => void;
      true: (a: boolean, m?: string) => void;
      throwsAsync: (f: () => Promise<unknown>) => Promise<unknown>;
    },
    services: Services<BlobStore>,
    id: PackageId,
    secret: string,
  ) {
    const digest = parseDigest(sha256(secret));
    const [file] = await registerFiles(services, mallory, id, [{ path, digest, size: secret.length }]);
    t.is(file?.proven, false, 'registered as missing');
    const refused = async (what: string, attempt: () => Promise<unknown>) => {
      t.true(isStoreError(await t.throwsAsync(attempt)), what);
    };
    await refused('read', () => readFile(services, mallory, id, path));
    await refused('downloads by path', () => planDownloads(services, mallory, id, { paths: [path] }));
    const { downloads } = await planDownloads(services, mallory, id, { after: null, limit: 10 });
    t.is(downloads.length, 0, 'downloads of the whole');
    await refused('finalize', () => finalizePackage(services, mallory, id));
    const [planned] = await planUploads(services, mallory, id, [{ digest, size: secret.length }]);
    t.true(
      planned?.upload !== null && planned?.upload.parts.every((part) => !part.received) === true,
      'the bytes must be sent',
    );
    await refused('commit without bytes', () => commitUpload(services, mallory, planned?.upload?.id as UploadId));
  }

  test('a digest that the store has, of a producer that the caller may not read', async (t) => {
    const { services } = t.context;
    const secret = 'what alice keeps';
    const owner = await packageOf(services, alice);
    await putFile(services, alice, owner, { path, replace: false }, body(secret));
    await finalizePackage(services, alice, owner);
    await attack(t, services, await packageOf(services, mallory), secret);
  });

  test('a known foreign digest and an unknown one look the same', async (t) => {
    const { services } = t.context;
    const owner = await packageOf(services, alice);
    await putFile(services, alice, owner, { path, replace: false }, body('known to the store'));
    const id = await packageOf(services, mallory);
    const inputs = ['known to the store', 'known to nobody ..'].map((text, n) => ({
      path: parseLogicalPath(`f${n}`),
      digest: parseDigest(sha256(text)),
      size: 18,
    }));
    const registered = await registerFiles(services, mallory, id, inputs);
    t.deepEqual(
      registered.map((file) => file.proven),
      [false, false],
    );
    const planned = await planUploads(services, mallory, id, inputs);
    const shape = planned.map(({ upload }) =>
      upload?.parts.map(({ number, offset, size, received }) => ({ number, offset, size, received })),
    );
    t.deepEqual(shape[0], shape[1]);
  });

  test('racing the owner: registered before, while and after the owner commits', async (t) => {
    const { services } = t.context;
    for (let round = 0; round < 5; round++) {
      const secret = `raced secret ${round}`;
      const owner = await packageOf(services, alice);
      const [before, during, after] = [
        await packageOf(services, mallory),
        await packageOf(services, mallory),
        await packageOf(services, mallory),
      ];
      await attack(t, services, before, secret);
      await Promise.all([
        putFile(services, alice, owner, { path, replace: false }, body(secret)),
        registerFiles(services, mallory, during, [{ path, digest: parseDigest(sha256(secret)), size: secret.length }]),
      ]);
      await attack(t, services, after, secret);
      for (const id of [before, during]) {
        t.true(isStoreError(await t.throwsAsync(() => readFile(services, mallory, id, path)), 'files_missing'));
        t.true(isStoreError(await t.throwsAsync(() => finalizePackage(services, mallory, id)), 'files_missing'));
      }
      t.is((await readFile(services, alice, owner, path)).file.size, secret.length);
    }
  });

  test('sending the bytes proves possession, and then one object serves both packages', async (t) => {
    const { services } = t.context;
    const owner = await packageOf(services, alice);
    await putFile(services, alice, owner, { path, replace: false }, body('both have it'));
    const id = await packageOf(services, mallory);
    await registerFiles(services, mallory, id, [{ path, digest: parseDigest(sha256('both have it')), size: 12 }]);
    await putFile(services, mallory, id, { path, replace: false }, body('both have it'));
    await finalizePackage(services, mallory, id);
    const keys: string[] = [];
    for await (const { key } of services.blobs.objects.list('objects/'))
      if (key.includes(sha256('both have it').slice(7))) keys.push(key);
    t.is(keys.length, 1);
  });

  test("another's package does not exist, whatever is asked of it", async (t) => {
    const { services } = t.context;
    const owner = await packageOf(services, alice);
    await putFile(services, alice, owner, { path, replace: false }, body('not yours'));
    const attempts: Array<[string, () => Promise<unknown>]> = [
      ['get', () => getPackage(services, mallory, owner)],
      ['files', () => listFiles(services, mallory, owner, null, 10)],
      ['read', () => readFile(services, mallory, owner, path)],
      ['downloads', () => planDownloads(services, mallory, owner, { after: null, limit: 10 })],
      ['manifest', () => readManifest(services, mallory, owner)],
      ['retention', () => getRetention(services, mallory, owner)],
      ['finalize', () => finalizePackage(services, mallory, owner)],
      ['delete', () => deletePackage(services, mallory, owner, 'x')],
      [
        'register',
        () =>
          registerFiles(services, mallory, owner, [
            { path: parseLogicalPath('x'), digest: parseDigest(sha256('x')), size: 1 },
          ]),
      ],
      ['put', () => putFile(services, mallory, owner, { path: parseLogicalPath('x'), replace: false }, body('x'))],
      ['supersede', () => createPackage(services, mallory, { name: 'n', producer: 'mallory', supersedes: owner })],
    ];
    for (const [what, attempt] of attempts) {
      t.true(isStoreError(await t.throwsAsync(attempt), 'package_not_found'), what);
    }
    t.true(
      isStoreError(
        await t.throwsAsync(() => createPackage(services, mallory, { name: 'n', producer: 'alice' })),
        'forbidden',
      ),
    );
    const { packages } = await listPackages(services, mallory, {}, 100);
    t.true(packages.every((pkg) => pkg.producer === 'mallory'));
    const { events } = await listAudit(services, mallory, {}, 0, 1000);
    t.true(events.every((event) => event.actor === 'mallory'));
  });
}
