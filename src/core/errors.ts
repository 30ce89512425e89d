/**
 * Every error that artifact-store answers with: code → HTTP status → title.
 *
 * The code is the contract (stable, snake_case); the title says the kind of thing in a few words; the detail, given
 * where the error is thrown, names the offending thing and says what to do. docs/errors.md is checked against this
 * table.
 */
export const ERROR_TABLE = {
  bad_request: { status: 400, title: 'Not a valid HTTP request' },
  invalid_json: { status: 400, title: 'The body is not JSON' },
  bad_range: { status: 400, title: 'The Range header cannot be read' },
  body_length_mismatch: { status: 400, title: 'The body is longer or shorter than declared' },
  part_digest_mismatch: { status: 400, title: 'The bytes sent are not those that the URL was signed for' },

  unauthenticated: { status: 401, title: 'A valid bearer token is required' },
  identity_invalid: { status: 401, title: 'The JWT is not one of a trusted issuer' },
  identity_audience: { status: 401, title: 'The JWT is for another audience' },
  identity_expired: { status: 401, title: 'The JWT has expired' },
  identity_unmatched: { status: 401, title: 'No identity rule matches the JWT' },
  forbidden: { status: 403, title: 'This caller may not do that' },
  foreign_host: { status: 403, title: 'The Host header names another service' },
  foreign_origin: { status: 403, title: 'The Origin header names a site that may not call this service' },
  invalid_signature: { status: 403, title: 'The signed URL was altered' },
  url_expired: { status: 403, title: 'The signed URL has expired' },

  route_not_found: { status: 404, title: 'There is nothing at this address' },
  package_not_found: { status: 404, title: 'No such package' },
  file_not_found: { status: 404, title: 'No such file in this package' },
  fixity_not_found: { status: 404, title: 'No such fixity run' },
  event_not_found: { status: 404, title: 'No such audit event' },
  receipt_not_found: { status: 404, title: 'There is no such receipt' },
  checkpoint_not_found: { status: 404, title: 'No such checkpoint' },
  timestamp_not_found: { status: 404, title: 'No such time stamp' },
  token_not_found: { status: 404, title: 'No such API token' },
  share_not_found: { status: 404, title: 'No such share' },
  webhook_not_found: { status: 404, title: 'No such webhook' },
  sweep_not_found: { status: 404, title: 'No such sweep' },
  upload_not_found: { status: 404, title: 'No such upload' },
  part_not_found: { status: 404, title: 'No such part in this upload' },
  hold_not_found: { status: 404, title: 'No such hold on this package' },
  object_not_found: { status: 404, title: 'No such object' },
  upload_closed: { status: 404, title: 'This upload accepts no more parts' },

  method_not_allowed: { status: 405, title: 'This address does not support that method' },

  request_timeout: { status: 408, title: 'The request arrived too slowly' },

  duplicate_path: { status: 409, title: 'The package has another file under this path' },
  path_conflict: { status: 409, title: 'The path conflicts with another path of the package' },
  package_sealed: { status: 409, title: 'The package is finalized: its files cannot change' },
  package_failed: { status: 409, title: 'The producer gave this package up' },
  package_not_finalized: { status: 409, title: 'The package is not finalized' },
  package_empty: { status: 409, title: 'A package without files cannot be finalized' },
  files_missing: { status: 409, title: 'Not every file has its bytes' },
  count_mismatch: { status: 409, title: 'The package does not contain what the caller expects' },
  list_mismatch: { status: 409, title: 'The package does not contain the files that the caller expects' },
  foreign_store: { status: 409, title: 'The store is not that of this registry' },
  registry_older: { status: 409, title: 'The store knows of packages that the registry does not know' },
  already_superseded: { status: 409, title: 'Another package already supersedes this one' },
  retention_active: { status: 409, title: 'The package must be kept' },
  key_configured: { status: 409, title: 'The key is that of the configuration' },
  held: { status: 409, title: 'A hold blocks the deletion' },
  hold_released: { status: 409, title: 'This hold was already released' },
  upload_abandoned: { status: 409, title: 'Storage gave no clean answer: plan and send again' },
  upload_incomplete: { status: 409, title: 'Not every part has arrived' },

  package_deleted: { status: 410, title: 'The package was deleted' },
  file_deleted: { status: 410, title: 'The file was removed from its package' },
  precondition_failed: { status: 412, title: 'The file is not the one that If-Match names' },
  body_too_large: { status: 413, title: 'The body is too large' },
  too_many_files: { status: 413, title: 'A package cannot have so many files' },
  package_too_large: { status: 413, title: 'A package cannot have so many bytes' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  range_not_satisfiable: { status: 416, title: 'The range is outside the file' },
  expectation_failed: { status: 417, title: 'The Expect header cannot be met' },
  misdirected_request: { status: 421, title: 'The address and the Host header name different hosts' },

  invalid_request: { status: 422, title: 'The request breaks the schema' },
  invalid_path: { status: 422, title: 'Not a path that a package can hold' },
  invalid_digest: { status: 422, title: 'Not a SHA-256 digest' },
  invalid_file_rule: { status: 422, title: 'Not a rule for files of a package' },
  invalid_metadata: { status: 422, title: 'Metadata that cannot be stored' },
  invalid_scopes: { status: 422, title: 'Scopes that no token can have' },
  invalid_cursor: { status: 422, title: 'Not a cursor of this list' },
  unknown_retention_class: { status: 422, title: 'No such retention class' },
  share_too_long: { status: 422, title: 'A share cannot last as long' },
  not_later: { status: 422, title: 'The new expiry is not later' },
  never_expires: { status: 422, title: 'The package never expires' },
  digest_mismatch: { status: 422, title: 'The bytes have a different digest' },
  size_mismatch: { status: 422, title: 'The bytes have a different size' },
  parts_required: { status: 422, title: 'An object of this size needs parts' },
  invalid_pack: { status: 422, title: 'The pack is not the tar file of its members' },
  invalid_frames: { status: 422, title: 'The frames do not make up the object' },
  invalid_parts: { status: 422, title: 'The parts do not make up the object' },
  object_not_registered: { status: 422, title: 'No file of the package has this digest and size' },
  webhook_refused: { status: 422, title: 'A webhook that is not allowed' },
  invalid_supersedes: { status: 422, title: 'A package that cannot be superseded' },

  too_many_requests: { status: 429, title: 'Too many requests' },
  too_many_transfers: { status: 429, title: 'Too many bodies at once' },
  too_many_uploads: { status: 429, title: 'Too many open uploads' },
  too_many_webhooks: { status: 429, title: 'Too many webhooks' },
  too_many_packages: { status: 429, title: 'Too many open packages' },

  headers_too_large: { status: 431, title: 'The headers are too large' },

  internal: { status: 500, title: 'The service failed' },
  decision_unwritten: { status: 500, title: 'Storage could not be told of the decision yet' },
  integrity_failure: { status: 500, title: 'Stored bytes have changed or are gone' },
  unavailable: { status: 503, title: 'The service cannot answer now' },
  issuer_unavailable: { status: 503, title: 'The keys of the issuer cannot be had' },
  registry_damaged: { status: 503, title: 'The registry is damaged' },
  no_space: { status: 507, title: 'The storage is full' },
  quota_exceeded: { status: 507, title: 'The producer has no room left in its quota' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** What an error can name in addition to its detail; every field appears as it is in the problem document. */
export interface ErrorExtras {
  path?: string;
  digest?: string;
  errors?: Array<{ field: string; message: string }>;
  [field: string]: unknown;
}

/** The one error class that crosses layers: HTTP turns it into a problem document, the command line into a message. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: ErrorCode;
  readonly extras: ErrorExtras;

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.extras = extras;
  }

  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  get title(): string {
    return ERROR_TABLE[this.code].title;
  }
}

export function isStoreError(error: unknown, code?: ErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code);
}
