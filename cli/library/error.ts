import { ApiError, toCliError } from '../errors.ts';
import type { ArtifactStoreErrorOptions } from './types.ts';

/** The one error of this client. What ends with an aborted signal rejects with the signal's reason instead. */
export class ArtifactStoreError extends Error {
  override readonly name: 'ArtifactStoreError' = 'ArtifactStoreError';
  /** Never changes its meaning; each is in docs/errors.md or docs/client.md. */
  readonly code: string;
  /** Of the service's answer; null: it was found here, or there was no answer. */
  readonly status: number | null;
  /** What the error names: `path`, `paths`, `package_id`, `differences` … */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, { code, status, details, cause }: ArtifactStoreErrorOptions) {
    super(message, { cause });
    this.code = code;
    this.status = status ?? null;
    this.details = details ?? {};
  }
}

/** Whatever the client throws, as programs see it. What to type next is for people at a terminal, and stays there. */
export function toClientError(thrown: unknown): ArtifactStoreError {
  if (thrown instanceof ArtifactStoreError) return thrown;
  const { message, code, extras: details } = toCliError(thrown);
  const status = thrown instanceof ApiError ? thrown.status : null;
  return new ArtifactStoreError(message, { code, status, details, cause: thrown });
}
