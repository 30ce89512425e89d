import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Package } from '../../../src/api/types.ts';
import { type Digest, digestFromHex, digestHex } from '../../../src/core/digest.ts';
import { EnvelopeError, parseEnvelope } from '../../../src/core/dsse.ts';
import { isId } from '../../../src/core/ids.ts';
import { readManifest } from '../../../src/core/read-manifest.ts';
import type { PublicKey } from '../../../src/core/signing-key.ts';
import { openStatement, type Statement } from '../../../src/core/statement.ts';
import { CliError, EXIT } from '../../errors.ts';
import { countOf, printable } from '../../format.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { makeWholeFile } from '../target/whole-file.ts';
import { bundleReadme } from './bundle-readme.ts';
import type { Proofs } from './proofs.ts';
import { pullPackage } from './pull.ts';
import { TarFile } from './tar-file.ts';

export interface BundleResult {
  /** Of the package. */
  files: number;
  bytes: number;
  /** Of the bundle. */
  size: number;
  digest: Digest;
  /** The key that has signed. */
  key_id: string;
  /** It has a proof that the audit's log has the finalization. */
  log: boolean;
}

/**
 * Writes a finalized package, and all that is needed to check it, into one new tar file. The files are pulled into a folder beside it
 * first, so that everything that holds for a pull holds here; on their way into the tar they are hashed again. For the time it
 * takes there must be room for both.
 * @throws CliError wrong_usage; file_refused when there is a file of that name; package_not_finalized, file_deleted;
 *   integrity_failure; no_space; what `pullPackage` throws
 */
export async function exportBundle(
  client: ApiClient,
  pkg: Package,
  { file, proofs }: { file: string; proofs: Proofs },
  watch: (report: () => ProgressReport) => void,
): Promise<BundleResult> {
  const { statement, key } = checkProofs(pkg, proofs);
  const make = async (folder: string, name: string): Promise<BundleResult> => {
    await pullPackage(client, pkg, { directory: join(folder, PACKAGE) }, watch);
    await saveManifest(client, pkg, join(folder, MANIFEST));
    const mtime = Math.floor(Date.parse(statement.predicate.finalized_at) / 1_000);
    const tar = new TarFile(join(folder, name), { mtime, signal: client.signal });
    try {
      tar.addBytes({ path: 'README.txt' }, Buffer.from(bundleReadme(statement, key, proofs.log)));
      tar.addBytes({ path: 'attestation.json' }, proofs.attestation);
      for (const { id, pem } of proofs.keys) tar.addBytes({ path: `keys/${id}.pem` }, Buffer.from(pem));
      for (const path of ['proof', 'checkpoint'] as const)
        if (proofs.log !== null) tar.addBytes({ path }, Buffer.from(proofs.log[path]));
      const added = await addPackage(tar, folder, pkg, watch);
      return { ...added, digest: tar.end(), size: tar.size, key_id: key.id, log: proofs.log !== null };
    } finally {
      tar.close();
    }
  };
  return makeWholeFile(file, make, ROOM);
}

const PACKAGE = 'package';
const MANIFEST = 'manifest.json';
const MESSAGE_MAX = 1_000;
const ROOM =
  'A bundle takes about twice the size of its package while it is made: free some space there, or write it elsewhere.';

/** A bundle that could never be checked is not begun. @throws CliError */
function checkProofs(pkg: Package, { attestation, keys }: Proofs): { statement: Statement; key: PublicKey } {
  if (pkg.deleted_file_count > 0) {
    throw new CliError(
      `${countOf(pkg.deleted_file_count, 'file')} of ${pkg.id} ${pkg.deleted_file_count === 1 ? 'was' : 'were'} removed when their time was over: the attestation names them, so no bundle of the others could be checked.`,
      { exit: EXIT.refused, code: 'file_deleted', next: `\`artifact-store pull ${pkg.id} DIR\` writes the others.` },
    );
  }
  try {
    const opened = openStatement(parseEnvelope(attestation), keys);
    const { package: named, manifest } = opened.statement.predicate;
    const isIt = named.id === pkg.id && isId('pkg', named.id) && digestFromHex(manifest.sha256) === pkg.manifest_digest;
    if (!isIt) throw new EnvelopeError('is of another package, or of another manifest');
    return opened;
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    // It quotes what nobody has signed.
    throw damaged(`The attestation of ${pkg.id} ${printable(error.message).slice(0, MESSAGE_MAX)}.`, error);
  }
}

/** The exact bytes whose digest seals the package. */
async function saveManifest(client: ApiClient, pkg: Package, to: string): Promise<void> {
  const digest = await client.readManifest(pkg, async (body) => {
    const hash = createHash('sha256');
    const handle = await open(to, 'w');
    try {
      for await (const chunk of body) {
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
    } finally {
      await handle.close();
    }
    return digestFromHex(hash.digest('hex'));
  });
  if (digest !== pkg.manifest_digest)
    throw damaged(`The manifest of ${pkg.id} has the digest ${digest}, but ${pkg.manifest_digest} seals the package.`);
}

/** The manifest, and the files in its order. */
async function addPackage(
  tar: TarFile,
  folder: string,
  { manifest_digest, file_count, total_size }: Package,
  watch: (report: () => ProgressReport) => void,
): Promise<{ files: number; bytes: number }> {
  const done = { files: 0, bytes: 0 };
  // Of a large file, too, it is seen how far it is.
  const bytes = (): number => Math.min(tar.size, total_size);
  watch(() => ({
    phase: 'bundling',
    files: done.files,
    bytes: bytes(),
    totalFiles: file_count,
    totalBytes: total_size,
  }));
  const manifest = join(folder, MANIFEST);
  const { size } = await stat(manifest);
  await tar.addFile({ path: MANIFEST }, manifest, { size, sha256: digestHex(manifest_digest as Digest) });
  for await (const page of readManifest(createReadStream(manifest))) {
    for (const { path, executable = false, ...content } of page) {
      await tar.addFile({ path: `${PACKAGE}/${path}`, executable }, join(folder, PACKAGE, path), content);
      done.files += 1;
      done.bytes += content.size;
    }
  }
  return done;
}

function damaged(message: string, cause?: unknown): CliError {
  return new CliError(message, { exit: EXIT.integrity, code: 'integrity_failure', cause });
}
