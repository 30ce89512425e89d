import type { Pool } from './pool.ts';

/** A request that names what exists and belongs together: a schema does not say that a file is of this package. */
export interface Apt {
  params?: Record<string, unknown>;
  query?: Record<string, unknown>;
  body?: unknown;
  /** Instead of path and query. */
  target?: string;
  headers?: Record<string, string>;
  /** Instead of JSON. */
  bytes?: Buffer;
}

type Make = (pool: Pool, nth: number) => Apt | undefined;

interface FileOfPackage {
  id: string;
  path: string;
}

const onFile: Make = (pool, nth) => {
  const file = pool.pick<FileOfPackage>('file', nth);
  const headers: Record<string, string> = nth % 3 === 0 ? { range: `bytes=${nth % 7}-${nth % 11}` } : {};
  return file && { params: { ...file }, headers };
};

function onNext(operation: string): Make {
  return (pool, nth) => {
    const next = pool.pick<{ path: string; cursor: string }>(`next page of ${operation}`, nth);
    return next && { target: `${next.path}?cursor=${next.cursor}&limit=${1 + (nth % 9)}` };
  };
}

const onFinalized: Make = (pool, nth) => {
  const id = pool.pick<string>('finalized', nth);
  return id === undefined ? undefined : { params: { id } };
};

const onWebhook: Make = (pool, nth) => {
  const id = pool.pick<string>('webhook', nth);
  return id === undefined ? undefined : { params: { id } };
};

export const APT: Record<string, Make> = {
  getFile: onFile,
  removeFile: (pool, nth) => {
    const file = pool.pick<FileOfPackage>('file', nth);
    return file && { params: { ...file }, body: { reason: 'its time is over' } };
  },
  deleteFiles: (pool, nth) => {
    const file = pool.pick<FileOfPackage>('file', nth);
    return file && { params: { id: file.id }, body: { paths: [file.path], reason: 'over', check: nth % 2 === 0 } };
  },
  planDownloads: (pool, nth) => {
    const file = pool.pick<FileOfPackage>('file', nth);
    return file && { params: { id: file.id }, ...(nth % 2 === 0 ? {} : { body: { paths: [file.path] } }) };
  },
  planUploads: (pool, nth) => {
    const missing = pool.pick<{ id: string; digest: string }>('missing', nth);
    const bytes = missing && pool.bytesOf(missing.digest);
    return bytes && { params: { id: missing.id }, body: { objects: [{ digest: missing.digest, size: bytes.length }] } };
  },
  startFixity: (pool, nth) => {
    const package_id = pool.pick<string>('finalized', nth);
    return nth % 2 === 0 ? {} : { body: { package_id } };
  },
  planRepairs: (pool, nth) => {
    const stored = pool.pick<object>('stored', nth);
    return stored && { body: { objects: [stored] } };
  },
  putPart: (pool, nth) => {
    const part = pool.pick<{ target: string; digest: string; headers: Record<string, string> }>('part', nth);
    const bytes = part && pool.bytesOf(part.digest);
    return bytes && { target: part.target, headers: part.headers, bytes };
  },
  commitUpload: (pool, nth) => {
    const part = pool.pick<{ upload: string }>('part', nth);
    return part && { params: { upload_id: part.upload } };
  },
  getObject: (pool, nth) => pool.pick<Apt>('objectUrl', nth),
  finalizePackage: (pool, nth) => {
    const id = pool.pick<string>('ready', nth);
    return id === undefined ? undefined : { params: { id } };
  },
  releaseHold: (pool, nth) => {
    const hold = pool.pick<{ id: string; hold: string }>('hold', nth);
    return hold && { params: { id: hold.id, hold_id: hold.hold }, body: { reason: 'released' } };
  },
  getLogCheckpoint: (pool, nth) => {
    const size = pool.pick<number>('logSize', nth);
    return size === undefined ? {} : { query: { size } };
  },
  getLogConsistency: (pool, nth) => {
    const from = pool.pick<number>('logSize', nth);
    return from === undefined ? undefined : { query: { from } };
  },
  getLogTile: (pool, nth) => {
    const size = pool.pick<number>('logSize', nth) ?? 1;
    const partial = `000.p/${Math.min(size, 255)}`;
    return { params: { path: [`0/${partial}`, `entries/${partial}`, '0/000', '0/000.p/5', '63/x999/999'][nth % 5] } };
  },
  getLogProof: (pool, nth) => {
    const event = pool.pick<string>('logged', nth);
    return event === undefined ? undefined : { query: { event } };
  },
  signUploadParts: (pool, nth) => {
    const part = pool.pick<{ upload: string }>('part', nth);
    return part && { params: { upload_id: part.upload }, body: { parts: [1] } };
  },
  createPackage: (pool, nth) => {
    const external = pool.pick<object>('external', nth);
    return external && { body: { name: 'again', ...external } };
  },
  listPackages: onNext('listPackages'),
  listFiles: onNext('listFiles'),
  listAudit: onNext('listAudit'),
  listEligible: onNext('listEligible'),
  getManifest: onFinalized,
  getArchive: onFinalized,
  getAttestation: onFinalized,
  getReceipt: onFinalized,
  getRetention: onFinalized,
  extendRetention: (pool, nth) => {
    const id = pool.pick<string>('finalized', nth);
    return id === undefined ? undefined : { params: { id }, body: { days: 1 + nth, reason: 'still needed' } };
  },
  // Nobody listens there, and there is nothing to send.
  createWebhook: (_pool, nth) => ({ body: { url: `http://127.0.0.1:9/${nth}`, types: ['registry.*'] } }),
  getWebhook: onWebhook,
  removeWebhook: onWebhook,
  testWebhook: onWebhook,
  rotateWebhookSecret: onWebhook,
  listDeliveries: onWebhook,
  replayWebhook: onWebhook,
  revokeToken: (pool, nth) => {
    const id = pool.pick<string>('token', nth);
    return id === undefined ? undefined : { params: { id }, body: { reason: 'leaked' } };
  },
  findFiles: (pool, nth) => {
    const file = pool.pick<FileOfPackage>('file', nth);
    const name = file?.path.slice(file.path.lastIndexOf('/') + 1);
    return file && { query: { name: nth % 3 === 0 ? `${name}*` : name } };
  },
  createShare: (pool, nth) => {
    const id = pool.pick<string>('finalized', nth);
    return id === undefined ? undefined : { params: { id }, body: { expires_in: 60 + nth } };
  },
  listShares: onFinalized,
  revokeShare: (pool, nth) => {
    const id = pool.pick<string>('share', nth);
    return id === undefined ? undefined : { params: { id }, body: { reason: 'sent to the wrong person' } };
  },
  placeHold: (pool, nth) => {
    const id = pool.pick<string>('package', nth);
    return id === undefined ? undefined : { params: { id }, body: { reason: 'audit' } };
  },
};
