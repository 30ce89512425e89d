import type { FileRule } from '../../../src/core/retention.ts';
import type { Compression } from '../tree/compression.ts';
import type { PushLookOptions } from './push-look.ts';
import type { SecretsPolicy } from './push-secrets.ts';

/** What a push is to do. */
export interface PushOptions extends PushLookOptions {
  producer: string;
  subject?: string | undefined;
  externalId?: string | undefined;
  retentionClass?: string | undefined;
  /** Files that need not be kept as long as the package. */
  fileRules?: readonly FileRule[] | undefined;
  /** Name, subject, metadata and file rules were found in the files: no package is refused because it has others. */
  derived?: boolean | undefined;
  /** Content that differs from a finalized package, or other options than it has, become a new one, which supersedes it. */
  revision?: boolean | undefined;
  /** The id of a package to continue, or to compare with. */
  resume?: string | undefined;
  /** Default true. */
  finalize?: boolean | undefined;
  /** Parts in flight; default 8. */
  parallel?: number | undefined;
  /** Default auto. */
  compression?: Compression | undefined;
  /** Read every file, whatever the cache says of it. */
  rehash?: boolean | undefined;
  /** Default warn. */
  secrets?: SecretsPolicy | undefined;
}
