import { S3ServiceException } from '@aws-sdk/client-s3';
import { type ErrorExtras, StoreError } from '../../core/errors.ts';

/** What S3 said, whichever way it said it: an answer read by the SDK, or one of our own requests. */
export interface S3Refusal {
  /** S3's own code; of a HEAD, which has no body, what the status says. */
  code: string;
  status: number;
}

/** An answer of storage to a request that did not go through the SDK. */
export class S3AnswerError extends Error {
  readonly refusal: S3Refusal;

  constructor(status: number, body: string) {
    const code = /<Code>([^<]{1,100})<\/Code>/.exec(body)?.[1] ?? `HTTP ${status}`;
    super(`storage answered ${status} ${code}`);
    this.refusal = { code, status };
  }
}

/** Null: not an answer of S3 (a connection that failed, a bug). */
export function refusalOf(error: unknown): S3Refusal | null {
  if (error instanceof S3AnswerError) return error.refusal;
  if (error instanceof S3ServiceException) {
    const status = error.$metadata.httpStatusCode ?? 0;
    // What the SDK calls an answer without a body.
    return { code: /^Unknown(Error)?$/.test(error.name) ? `HTTP ${status}` : error.name, status };
  }
  if (!(error instanceof Error)) return null;
  const status = unreadStatus(error);
  return status === null ? null : { code: 'UnreadableAnswer', status };
}

/** Of an answer that the SDK could not read: such errors have no class of their own. */
function unreadStatus(error: unknown): number | null {
  const { $response, $metadata } = error as {
    $response?: { statusCode?: number };
    $metadata?: { httpStatusCode?: number };
  };
  return $response?.statusCode ?? $metadata?.httpStatusCode ?? null;
}

const NO_SUCH_OBJECT = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion']);
const FULL = new Set(['QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'InsufficientStorage']);
const WRONG_BYTES = new Set(['XAmzContentSHA256Mismatch', 'BadDigest', 'XAmzContentChecksumMismatch', 'InvalidDigest']);

/** What is wrong with the keys, and where to look. */
const KEYS: Record<string, string> = {
  InvalidAccessKeyId:
    'does not know the access key: check ARTIFACT_STORE_S3_ACCESS_KEY_ID, and that the user was not removed',
  SignatureDoesNotMatch:
    'does not accept the signature: check ARTIFACT_STORE_S3_SECRET_ACCESS_KEY, ARTIFACT_STORE_S3_REGION, and that no proxy changes the Host header',
  RequestTimeTooSkewed: 'has another time than this machine: synchronize both clocks with NTP',
  ExpiredToken: 'says that the session credentials have expired: renew them',
  AccessDenied:
    'denies access: check that the key of ARTIFACT_STORE_S3_ACCESS_KEY_ID may read, write, list and delete in the bucket',
};

export function isNoSuchObject(error: unknown): boolean {
  return NO_SUCH_OBJECT.has(refusalOf(error)?.code ?? '');
}

export function isNoSuchUpload(error: unknown): boolean {
  return refusalOf(error)?.code === 'NoSuchUpload';
}

/** Worth another try of a request that may be repeated. */
export function isTransient(error: unknown): boolean {
  const refusal = refusalOf(error);
  if (refusal === null) return !(error instanceof StoreError) && isConnectionError(error) && !isOfCertificate(error);
  return refusal.status >= 500 || refusal.status === 429 || refusal.code === 'RequestTimeout';
}

/**
 * Maps an error of storage to what it means for a caller; any other error stays as it is. @param doing as in "writing
 * x"
 */
export function s3Error(error: unknown, doing: string, bucket: string): unknown {
  if (error instanceof StoreError || error instanceof RangeError) return error;
  const refusal = refusalOf(error);
  const told = (code: 'unavailable' | 'no_space' | 'object_not_found' | 'part_digest_mismatch', detail: string) =>
    new StoreError(code, detail, extrasOf(refusal), { cause: error });
  if (refusal === null) {
    return isConnectionError(error)
      ? told('unavailable', `The storage could not be reached (${reasonOf(error)}) while ${doing}.`)
      : error;
  }
  const { code, status } = refusal;
  if (NO_SUCH_OBJECT.has(code)) return told('object_not_found', `There is no such object in storage: ${doing}.`);
  if (FULL.has(code) || status === 507) return told('no_space', `The storage is full (${code}): ${doing}.`);
  if (WRONG_BYTES.has(code)) return told('part_digest_mismatch', `The storage refused the bytes (${code}): ${doing}.`);
  if (code === 'NoSuchBucket') {
    return told(
      'unavailable',
      `The bucket ${JSON.stringify(bucket)} does not exist: create it, or correct ARTIFACT_STORE_S3_BUCKET (${doing}).`,
    );
  }
  const keys = KEYS[code] ?? (status === 403 || status === 401 ? KEYS.AccessDenied : undefined);
  if (keys !== undefined) {
    return told('unavailable', `The storage ${keys} (${code}, bucket ${JSON.stringify(bucket)}, ${doing}).`);
  }
  // S3 itself says what is wrong: without such a body it may be a proxy in front of it.
  if (status === 413 && code === 'HTTP 413') {
    const advice = 'raise the body limit of the proxy in front of it (nginx: client_max_body_size)';
    return told('unavailable', `The bytes were refused as too large (413) while ${doing}: ${advice}.`);
  }
  const who = BETWEEN.has(code) ? 'storage, or a proxy in front of it,' : 'storage';
  return told('unavailable', `The ${who} answered ${status} ${code} while ${doing}.`);
}

const BETWEEN = new Set(['HTTP 502', 'HTTP 503', 'HTTP 504', 'UnreadableAnswer']);

/** @param doing the action, as in "listing parts" @throws StoreError no_space, unavailable, object_not_found */
export async function asking<Result>(bucket: string, doing: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw s3Error(error, doing, bucket);
  }
}

/** What went wrong, in one word that names nothing of the installation: NoSuchBucket, ECONNREFUSED. */
export function errorCodeOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at instanceof AggregateError ? at.errors[0] : at.cause) {
    const code =
      refusalOf(at)?.code ?? (at instanceof StoreError ? at.extras.storage_code : (at as { code?: unknown }).code);
    if (typeof code === 'string') return code;
  }
  return 'unavailable';
}

function extrasOf(refusal: S3Refusal | null): ErrorExtras {
  return refusal === null ? {} : { storage_code: refusal.code };
}

/** Errors of sockets and name resolution have a code, those of the SDK's timeouts a name. */
function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'TimeoutError' || error.name === 'CredentialsProviderError') return true;
  if (error instanceof AggregateError) return error.errors.some(isConnectionError);
  return 'code' in error && typeof error.code === 'string' && !IS_BUG.test(error.code);
}

/** Node's other codes of this kind are about its own use. */
const IS_BUG = /^ERR_(?!PROXY_TUNNEL|TLS_|SSL_)/;

/** It stays as it is, however often it is asked for. */
function isOfCertificate(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (isOfCertificate(error)) {
    const { code = '' } = error as { code?: string };
    const isUnknown = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code);
    return `its certificate is not accepted, ${code}${isUnknown ? ': name the file of its CA in NODE_EXTRA_CA_CERTS' : ''}`;
  }
  return error.message || String((error as { code?: unknown }).code ?? error.name);
}
