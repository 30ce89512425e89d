import type { ErrorCode, ErrorExtras } from '../src/core/errors.ts';

/** What the process's exit says; documented in docs/, so no number ever changes its meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  integrity: 5,
  unreachable: 6,
  interrupted: 130,
  terminated: 143,
} as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** Errors that the command line itself finds, beside the service's codes. */
export type CliCode =
  | ErrorCode
  | 'wrong_usage'
  | 'unreachable'
  | 'interrupted'
  | 'failed'
  | 'file_unreadable'
  | 'file_changed'
  | 'file_refused'
  | 'file_differs'
  | 'package_differs'
  | 'secrets_found'
  | 'key_not_found'
  | 'no_identity'
  | 'directory_differs'
  | 'bag_invalid'
  | 'attestation_invalid'
  | 'data_folder'
  | 'store_refused'
  | 'bad_config'
  | 'output_failed';

export interface CliErrorOptions {
  exit: Exit;
  code: CliCode;
  /** What the person can do about it: a full sentence. */
  next?: string | undefined;
  /** More fields of the JSON form. */
  extras?: Record<string, unknown> | undefined;
  cause?: unknown;
}

/** The one error that ends a verb: the sentence, the exit code, and the next step. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit: Exit;
  readonly code: CliCode;
  readonly next: string | null;
  readonly extras: Record<string, unknown>;

  constructor(message: string, { exit, code, next, extras, cause }: CliErrorOptions) {
    super(message, { cause });
    this.exit = exit;
    this.code = code;
    this.next = next ?? null;
    this.extras = extras ?? {};
  }
}

export function usageError(message: string, next?: string): CliError {
  return new CliError(message, { exit: EXIT.usage, code: 'wrong_usage', next });
}

/** The service answered with a problem document (RFC 9457). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  readonly status: number;
  /** `path`, `digest`, `errors[]`, `paths`, `request_id` …, as they came. */
  readonly extras: ErrorExtras;
  /** When it may be asked again, ms from its arrival, as `Retry-After` said; null: it did not. */
  retryAfterMs: number | null = null;

  constructor(code: ErrorCode, status: number, detail: string, extras: ErrorExtras = {}) {
    super(detail);
    this.code = code;
    this.status = status;
    this.extras = extras;
  }

  get detail(): string {
    return this.message;
  }
}

export function isApiError(error: unknown, ...codes: ErrorCode[]): error is ApiError {
  return error instanceof ApiError && (codes.length === 0 || codes.includes(error.code));
}

const INTEGRITY: ReadonlySet<string> = new Set<ErrorCode>(['integrity_failure', 'digest_mismatch', 'size_mismatch']);
const SET_TOKEN = 'Set ARTIFACT_STORE_TOKEN to a token of this service, or give --token.';
const OTHER_TOKEN =
  'Use a token that may do this (ARTIFACT_STORE_TOKEN, --token); `artifact-store token create` makes one.';
const AGAIN = 'Run the same command again when it answers: `artifact-store doctor` says what fails.';

const WITH_SPACE = 'Run the same command again when there is space: what is stored is not sent again.';

const NO_ROUTE =
  'Check the URL (--url, ARTIFACT_STORE_URL): it ends before /v1. Or the service is older than this command: `artifact-store doctor` names its version.';

const SEE_QUOTA = '`artifact-store quota` shows what each producer has, and may have.';
const OTHERS = 'Somebody else pushed into the same package meanwhile: run the same command again.';

function exitOf(error: ApiError): Exit {
  if (INTEGRITY.has(error.code)) return EXIT.integrity;
  if (error.code === 'unavailable') return EXIT.failed;
  if (error.code === 'route_not_found') return EXIT.unreachable;
  if (error.status === 404) return EXIT.notFound;
  if ([401, 403, 409, 410, 412].includes(error.status)) return EXIT.refused;
  if (error.status === 422 || error.status === 400) return EXIT.usage;
  return EXIT.failed;
}

function nextOf(error: ApiError): string | undefined {
  // What to do about a JWT the service itself says.
  if (error.code.startsWith('identity_')) return undefined;
  if (error.status === 401) return SET_TOKEN;
  if (error.code === 'forbidden') return OTHER_TOKEN;
  if (error.code === 'list_mismatch') return OTHERS;
  if (error.code === 'quota_exceeded' || error.code === 'too_many_packages') return SEE_QUOTA;
  if (error.code === 'route_not_found') return NO_ROUTE;
  if (error.code === 'no_space') return WITH_SPACE;
  return error.code === 'unavailable' ? AGAIN : undefined;
}

/** Refusals that are about a package's life, or what its producer may have, though their status says that the request is wrong. */
const REFUSALS: ReadonlySet<string> = new Set<ErrorCode>([
  'not_later',
  'never_expires',
  'invalid_supersedes',
  'too_many_files',
  'package_too_large',
  'too_many_packages',
  'quota_exceeded',
]);

/** The one place where everything thrown becomes an exit code, a sentence and a next step. */
export function toCliError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof ApiError) {
    const exit = REFUSALS.has(thrown.code) ? EXIT.refused : exitOf(thrown);
    return new CliError(thrown.detail, {
      exit,
      code: thrown.code,
      next: nextOf(thrown),
      extras: { ...thrown.extras },
      cause: thrown,
    });
  }
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  // By name: loading the service's or the guide-board's modules only to compare classes would slow every verb.
  if (error.name === 'StoreError') {
    const { code, extras, status } = error as Error & { code: ErrorCode; extras: ErrorExtras; status: number };
    return toCliError(new ApiError(code, status, error.message, extras));
  }
  if (error.name === 'ProxySettingError') return new CliError(error.message, { exit: EXIT.usage, code: 'bad_config' });
  if (error.name === 'ConfigError') return new CliError(error.message, { exit: EXIT.usage, code: 'bad_config' });
  if (error.name === 'DataFolderError') {
    const exit = (error as Error & { code: string }).code === 'no_data_folder' ? EXIT.notFound : EXIT.refused;
    return new CliError(error.message, { exit, code: 'data_folder' });
  }
  if (error.name === 'StoreRefusedError')
    return new CliError(error.message, { exit: EXIT.refused, code: 'store_refused' });
  if (error.name === 'RunError') return new CliError(error.message, { exit: EXIT.failed, code: 'failed' });
  if (error.name === 'AbortError') return interrupted();
  return new CliError(error.message, { exit: EXIT.failed, code: 'failed', cause: error });
}

/** Exit codes as shells give them: 128 and the signal's number. */
export function interrupted(signal: 'SIGINT' | 'SIGTERM' = 'SIGINT', next?: string): CliError {
  const terminated = signal === 'SIGTERM';
  return new CliError(terminated ? 'Ended by SIGTERM.' : 'Interrupted.', {
    exit: terminated ? EXIT.terminated : EXIT.interrupted,
    code: 'interrupted',
    next,
  });
}
