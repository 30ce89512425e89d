import { hash } from 'node:crypto';
import { digestFromHex } from '../../src/core/digest.ts';
import { pagesOf } from '../client/api/pages.ts';
import { ArtifactStoreError } from './error.ts';
import type { Run, Stream } from './run.ts';
import type { PackageFilter, Packages } from './types.ts';

const PAGE = 100;

export function packagesOf(run: Run, stream: Stream): Packages {
  return {
    list: (filter = {}, { signal } = {}) =>
      stream(signal, async function* (job) {
        const query = queryOf(filter);
        const read = (cursor: string | undefined) => job.listPackages({ ...query, limit: PAGE, cursor });
        for await (const { items } of pagesOf(job.url, read)) yield* items;
      }),
    get: (id, { signal } = {}) => run(signal, (job) => job.getPackage(id)),
    files: (id, { signal } = {}) => stream(signal, (job) => job.files(id)),
    finalize: (id, { signal } = {}) => run(signal, (job) => job.finalizePackage(id)),
    manifest: (id, { signal } = {}) =>
      run(signal, async (job) => {
        const pkg = await job.getPackage(id);
        const bytes = await job.manifest(pkg);
        const digest = digestFromHex(hash('sha256', bytes, 'hex'));
        if (digest === pkg.manifest_digest) return bytes;
        const message = `The manifest of ${id} has the digest ${digest}, but ${pkg.manifest_digest} seals the package.`;
        throw new ArtifactStoreError(message, { code: 'integrity_failure', details: { package_id: id } });
      }),
    attestation: (id, { signal } = {}) => run(signal, (job) => job.attestation(id)),
    delete: (id, reason, { signal } = {}) => run(signal, (job) => job.deletePackage(id, reason)),
  };
}

function queryOf({ producer, subject, externalId, status, retentionClass, metadata = {} }: PackageFilter) {
  const members = Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, String(value)]);
  return {
    producer,
    subject,
    external_id: externalId,
    status,
    retention_class: retentionClass,
    ...Object.fromEntries(members),
  };
}
