import type { ByteRange } from '../blobs/blob-store.ts';
import { type MemberPages, planArchive } from '../core/archive.ts';
import { archiveBytes } from '../core/archive-bytes.ts';
import { ARCHIVE_KINDS, type ArchiveKindName, type ArchiveNames } from '../core/archive-formats.ts';
import { bagFolder } from '../core/bag-layout.ts';
import { canonicalJson } from '../core/canonical-json.ts';
import { CrcTable } from '../core/crc-table.ts';
import { digestHex, digestOf } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { compileGlob } from '../core/glob.ts';
import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { readPackage } from './access.ts';
import { archiveContents } from './archive-contents.ts';
import { type Noted, notedMembers, withNotes } from './archive-notes.ts';
import { type BagContent, bagMembers } from './bag-members.ts';
import type { CrcTables } from './crc-tables.ts';
import { fileDeleted } from './file-deleted.ts';
import { type ChosenFiles, packageMembers, removedFiles, secondsOf } from './package-members.ts';
import { readAttestation, readManifest } from './read-file.ts';
import type { Caller, Services, WithDecisions, WithReader } from './services.ts';

/** Changes when the bytes of any archive do. */
const LAYOUT = 1;

export interface ArchiveRequest {
  kind: ArchiveKindName;
  names: ArchiveNames;
  /** Of which `globProblem` says null; undefined: all files. */
  glob: string | undefined;
}

export interface ReadableArchive {
  pkg: PackageRecord;
  /** Names its bytes, but for how they are compressed. */
  tag: string;
  /** Reads all names. @throws StoreError file_not_found, file_deleted: no file is chosen */
  prepare(): Promise<PreparedArchive>;
}

export interface PreparedArchive {
  /** Bytes, not compressed. */
  size: number;
  /** A range of it, not compressed. Every file is checked on the way (archiveBytes). @param signal ends it */
  bytes(range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

/**
 * A finalized package as one file. Its bytes depend on the manifest, on what was asked for and on which files have been removed since,
 * and never on where its blobs are stored.
 * @throws StoreError package_not_finalized, package_deleted
 */
export async function readArchive(
  services: Services<WithReader & WithDecisions> & { crcTables: CrcTables },
  caller: Caller,
  packageId: PackageId,
  { kind, names, glob: text }: ArchiveRequest,
): Promise<ReadableArchive> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, packageId);
  assertReadable(pkg);
  if (pkg.status !== 'finalized' || pkg.manifest_digest === null) {
    throw new StoreError(
      'package_not_finalized',
      `${packageId} is ${pkg.status}: it can be had as an archive once it is finalized.`,
    );
  }
  const { format, bag } = ARCHIVE_KINDS[kind];
  const glob = text === undefined ? null : compileGlob(text);
  const removed = await removedFiles({ tables, pkg, glob });
  const chosen: ChosenFiles = { tables, pkg, glob, removed };
  const proofs = bag ? await proofsOf(services, caller, packageId) : null;
  const signed = proofs === null ? {} : { attestation: proofs.attestation.digest };
  const content = { layout: LAYOUT, manifest: pkg.manifest_digest, kind, names, glob: text ?? null, ...signed };
  const tag = digestHex(digestOf(canonicalJson({ ...content, removed: [...removed] })));
  return {
    pkg,
    tag,
    async prepare() {
      const files = packageMembers(chosen);
      if (await isEmpty(files)) throw await nothingChosen(chosen, text);
      const noted = { pkg, removed, portable: names === 'portable' };
      const pages = proofs === null ? await withNotes(files, noted) : await bagOf(files, noted, proofs, text ?? null);
      const plan = await planArchive(format, pages);
      const crcs = format.needsCrc ? services.crcTables.of(tag, plan.members) : new CrcTable(0);
      const job = { format, plan, pages, crcs, read: archiveContents(services, caller, packageId) };
      return { size: plan.size, bytes: (range, signal) => archiveBytes({ ...job, signal }, range) };
    },
  };
}

type Proofs = Pick<BagContent, 'manifest' | 'attestation'>;

/** What a bag holds beside the package's files. */
async function proofsOf(
  services: Services<WithReader & WithDecisions>,
  caller: Caller,
  packageId: PackageId,
): Promise<Proofs> {
  const manifest = await readManifest(services, caller, packageId);
  return { manifest, attestation: await readAttestation(services, caller, packageId) };
}

async function bagOf(files: MemberPages, noted: Noted, proofs: Proofs, selection: string | null): Promise<MemberPages> {
  const { pkg } = noted;
  const { notes, pages } = await notedMembers(files, noted);
  const finalizedAt = pkg.finalized_at ?? pkg.created_at;
  return bagMembers({
    ...proofs,
    pkg: { ...pkg, manifest_digest: proofs.manifest.digest, finalized_at: finalizedAt },
    pages,
    notes,
    selection,
    folder: bagFolder(pkg),
    modifiedAt: secondsOf(finalizedAt),
  });
}

async function isEmpty(pages: MemberPages): Promise<boolean> {
  for await (const page of pages()) return page.length === 0;
  return true;
}

async function nothingChosen({ tables, pkg, removed }: ChosenFiles, glob: string | undefined): Promise<StoreError> {
  const [path] = removed;
  if (path !== undefined) return fileDeleted(tables, pkg.id, path);
  return new StoreError('file_not_found', `No file of ${pkg.id} matches ${JSON.stringify(glob)}.`, { path: glob });
}
