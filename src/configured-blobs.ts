import { join } from 'node:path';
import type { BlobStore } from './blobs/blob-store.ts';
import type { StreamChecker } from './blobs/check-thread.ts';
import type { DataFolder } from './blobs/data-folder.ts';
import { type FileLayer, hasErrno } from './blobs/file-layer.ts';
import { type FolderStore, openFolderStore } from './blobs/fs-store.ts';
import type { ObjectKey } from './blobs/key-layout.ts';
import { measuredReceiver, measuredStore } from './blobs/measured-store.ts';
import type { probeBackend } from './blobs/s3/probe.ts';
import type { ProbeReport } from './blobs/s3/probe-report.ts';
import { PROBE_INTERVALS, type ProbeIntervals, startProbing } from './blobs/s3/probing.ts';
import { downloadRequest } from './blobs/signed-urls.ts';
import { openSpool, type Spool } from './blobs/spool.ts';
import { urlSigner } from './blobs/url-signer.ts';
import type { S3Config } from './config.ts';
import type { CallMeter, StorageOperation } from './core/call-meter.ts';
import type { WorkName } from './core/work-names.ts';
import type { SignedBytes } from './http/signed-bytes.ts';
import type { Registry } from './registry/registry.ts';
import type { Log } from './usecases/services.ts';

/** The blob store that the configuration names, and what goes with it. */
export interface ConfiguredBlobs {
  blobs: BlobStore;
  /** Where it is, in words for operators. */
  place: string;
  /** On this machine: the service asks it before it listens, and does not start when it does not answer. */
  local: boolean;
  spool: Spool;
  signedBytes: SignedBytes;
  /** Before the service listens, and only of a local one: removes what a process that died left. */
  cleanUp(): Promise<void>;
  /** What is to be done once the service listens, one after the other; `owned`: once the store is known to be the registry's. */
  afterStart: ReadonlyArray<{ name: WorkName; owned: boolean; work: (signal: AbortSignal) => Promise<unknown> }>;
  /** Ends what waits for storage. */
  close(): Promise<void>;
}

export interface BlobsOptions {
  folder: DataFolder;
  files: FileLayer;
  checker: StreamChecker;
  registry: Registry;
  signingKey: Uint8Array;
  publicUrl: () => string;
  log: Log;
  meter: CallMeter<StorageOperation>;
  /** How often the bucket is probed, and by what. */
  probeIntervals?: Partial<ProbeIntervals> | undefined;
  probe?: typeof probeBackend | undefined;
}

export async function openConfiguredBlobs(s3: S3Config | null, options: BlobsOptions): Promise<ConfiguredBlobs> {
  const { meter } = options;
  const opened = await (s3 === null ? openFolder(options) : openBucket(s3, options));
  const { blobs, signedBytes } = opened;
  const parts = signedBytes.parts && measuredReceiver(signedBytes.parts, meter);
  return { ...opened, blobs: measuredStore(blobs, meter), signedBytes: { ...signedBytes, parts } };
}

async function openFolder({
  folder,
  files,
  checker,
  registry,
  signingKey,
  publicUrl,
  log,
}: BlobsOptions): Promise<ConfiguredBlobs> {
  const signer = urlSigner(signingKey);
  const store = await openFolderStore({ root: folder.blobsDir, files, signer, checker, publicUrl });
  const signedBytes = { signer, parts: store };
  const cleanUp = () => cleanFolder(store, registry, log);
  const place = placeOfFolder(folder);
  return {
    blobs: store,
    place,
    local: true,
    spool: store.spool,
    signedBytes,
    cleanUp,
    afterStart: [],
    close: () => store.close(),
  };
}

/** What a process that died left in the folder: files on their way in, and parts of uploads that have ended. */
async function cleanFolder(store: FolderStore, registry: Registry, log: Log): Promise<void> {
  await store.cleanTemporaries();
  // The folder is this process's, and nothing is planned before it listens: what is read here stays so.
  const unended = await registry.read.uploads.listUnended();
  const left = new Map(unended.map((upload) => [upload.id, upload]));
  for await (const id of store.listUploads()) {
    // Its folder is there: nothing to do.
    if (left.delete(id)) continue;
    await store.uploads.abort({ id, key: '' as ObjectKey, storageUploadId: id });
  }
  // A restored backup may know open uploads whose folders were not in it: without one they could take no part. Those that were completed
  // since need none: a plan gives them up.
  for (const { id, key, state, storage_upload_id } of left.values()) {
    if (state !== 'open' || storage_upload_id === null) continue;
    const ref = { key: key as ObjectKey, versionId: null };
    // What cannot be looked at keeps nobody from starting.
    const stands = await store.objects.stat(ref).catch((err: unknown) => {
      log.warn({ upload: id, err }, 'it is not known whether the upload was completed: a plan gives it up');
      return 'unknown';
    });
    if (stands === null) await store.uploads.create(ref.key, id);
  }
}

async function openBucket(
  s3: S3Config,
  { folder, files, signingKey, publicUrl, log, probeIntervals, probe }: BlobsOptions,
): Promise<ConfiguredBlobs> {
  // The SDK takes a third of a second to load: only who asks for S3 waits for it.
  const { openS3Store } = await import('./blobs/s3/s3-store.ts');
  const probeWith = probe ?? (await import('./blobs/s3/probe.ts')).probeBackend;
  const { removeLeftovers } = await import('./blobs/s3/probe-leftovers.ts');
  const dir = join(folder.dir, 'spool');
  await files.removeTree(dir);
  await files.mkdir(dir).catch((error) => {
    if (!hasErrno(error, 'EEXIST')) throw error;
  });
  const spool = openSpool(files, async () => dir);
  const options = { ...s3, clock: Date.now };
  const probing = startProbing(
    (signal) => probeWith(options, signal),
    (report) => tellFindings(report, log),
    { ...PROBE_INTERVALS, ...probeIntervals },
  );
  const firstProbe = async (signal: AbortSignal): Promise<void> => {
    signal.addEventListener('abort', () => void probing.close(), { once: true });
    await probing.first;
  };
  const leftovers = async (signal: AbortSignal): Promise<void> => {
    await removeLeftovers(options, signal).catch((error) => {
      if (signal.aborted) return;
      log.warn({ err: error }, 'the leftovers of killed probes stay until the next start');
    });
  };
  const signer = urlSigner(signingKey);
  const blobs = openS3Store({
    ...options,
    verify: s3.verify,
    report: probing.report,
    probeAgain: probing.again,
    spool,
    selfServed: (download) => downloadRequest(signer, publicUrl(), download),
  });
  return {
    blobs,
    place: placeOfBucket(s3),
    local: false,
    spool,
    signedBytes: { signer, parts: null },
    cleanUp: async () => {},
    afterStart: [
      { name: 'probe', owned: false, work: firstProbe },
      { name: 'leftovers', owned: true, work: leftovers },
    ],
    async close() {
      // Requests that wait for storage need not wait for the probe to clean up.
      await Promise.all([blobs.close(), probing.close()]);
    },
  };
}

/** In words for operators. */
export function placeOfFolder({ blobsDir }: DataFolder): string {
  return `folder ${blobsDir}`;
}

/** In words for operators. */
export function placeOfBucket({ bucket, prefix, endpoint }: S3Config): string {
  const below = prefix === null ? '' : `, prefix ${JSON.stringify(prefix)}`;
  return `bucket ${JSON.stringify(bucket)}${below} at ${endpoint ?? 'AWS'}`;
}

function tellFindings({ problem, enforcing, findings, lock }: ProbeReport, log: Log): void {
  if (problem !== null) {
    log.warn({ problem }, 'the backend could not be probed: nothing is trusted, and every object is read back');
    return;
  }
  for (const { guarantee, held, weight, says, advice } of [...findings, ...lock]) {
    if (!held) log[weight === 'note' ? 'info' : 'warn']({ guarantee, advice }, says);
  }
  log.info({ enforcing }, enforcing ? 'the backend enforces digests' : 'every object is read back and hashed');
}
