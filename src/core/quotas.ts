import { StoreError } from './errors.ts';

/** What producers and packages may have at most. Null: nothing says so. docs/limits.md lists them all. */
export interface Quotas {
  /** Packages of one producer that are neither finalized, failed nor deleted. */
  open_packages: number;
  /** Uploads of one package that are open, or being completed. */
  uploads_per_package: number;
  files_per_package: number;
  /** Of the files of one package, as their sizes say. */
  bytes_per_package: number | null;
  /** Of the files of all packages of one producer that were neither deleted nor failed; what two of them have counts twice. */
  bytes_per_producer: number | null;
  /** Quotas of single producers, in the place of `bytes_per_producer`. */
  producers: Readonly<Record<string, { bytes: number | null }>>;
}

export const DEFAULT_QUOTAS: Readonly<Quotas> = {
  open_packages: 10_000,
  uploads_per_package: 20_000,
  // So many a manifest can list that clients still read (1 GiB).
  files_per_package: 5_000_000,
  bytes_per_package: null,
  bytes_per_producer: null,
  producers: {},
};

/** What one producer has. */
export interface Usage {
  producer: string;
  /** Of files of finalized packages. */
  used_bytes: number;
  /** Of files of open packages: from their registration on, whether their bytes have come or not. */
  reserved_bytes: number;
  open_packages: number;
}

/** When to ask again, s: an upload ends when it is committed, a package when it is finalized. */
const UPLOADS_AGAIN_S = 5;
const PACKAGES_AGAIN_S = 60;

/** Bytes that a producer may have; null: nothing says so. */
export function byteQuota({ bytes_per_producer, producers }: Quotas, producer: string): number | null {
  const own = Object.hasOwn(producers, producer) ? producers[producer] : undefined;
  return own === undefined ? bytes_per_producer : own.bytes;
}

/** @param usage with the bytes that are to be reserved @param bytes that these are @throws StoreError quota_exceeded */
export function assertWithinQuota(quotas: Quotas, usage: Usage, bytes: number): void {
  const { producer, used_bytes, reserved_bytes } = usage;
  const quota = byteQuota(quotas, producer);
  // Beyond that no sum is exact any more.
  const most = quota ?? Number.MAX_SAFE_INTEGER;
  // Who gives back is never refused, also when the quota was made smaller.
  if (bytes <= 0 || used_bytes + reserved_bytes <= most) return;
  const reserved = reserved_bytes - bytes;
  throw new StoreError(
    'quota_exceeded',
    `The producer ${producer} may have ${most} bytes and has ${used_bytes + reserved}, ${reserved} of them in open packages; this would add ${bytes}: delete what is eligible, delete open packages that nobody continues, or have the quota raised.`,
    { limit: 'bytes_per_producer', allowed: most, used: used_bytes + reserved, asked: bytes },
  );
}

/** @param next what the package would have @throws StoreError too_many_files, package_too_large */
export function assertPackageFits(
  { files_per_package, bytes_per_package }: Quotas,
  pkg: { id: string; file_count: number; total_size: number },
  added: { files: number; bytes: number },
): void {
  const { id, file_count, total_size } = pkg;
  if (added.files > 0 && file_count + added.files > files_per_package) {
    throw new StoreError(
      'too_many_files',
      `${id} has ${file_count} files, and this would add ${added.files}; a package has at most ${files_per_package}: make several packages.`,
      { limit: 'files_per_package', allowed: files_per_package, used: file_count, asked: added.files },
    );
  }
  if (bytes_per_package === null || added.bytes <= 0 || total_size + added.bytes <= bytes_per_package) return;
  throw new StoreError(
    'package_too_large',
    `${id} has files of ${total_size} bytes, and this would add ${added.bytes}; a package has at most ${bytes_per_package}: make several packages.`,
    { limit: 'bytes_per_package', allowed: bytes_per_package, used: total_size, asked: added.bytes },
  );
}

/** @param usage with the package that is being made @throws StoreError too_many_packages */
export function assertOpenPackagesFit({ open_packages: most }: Quotas, { producer, open_packages }: Usage): void {
  if (open_packages <= most) return;
  throw new StoreError(
    'too_many_packages',
    `The producer ${producer} has ${open_packages - 1} open packages, and may have ${most}: finalize, fail or delete some (GET /v1/packages?producer=…&status=uploading).`,
    {
      limit: 'open_packages',
      allowed: most,
      used: open_packages - 1,
      asked: 1,
      retry_after: PACKAGES_AGAIN_S,
      headers: { 'Retry-After': String(PACKAGES_AGAIN_S) },
    },
  );
}

/** @param open that stand @param asked that are to be opened @throws StoreError too_many_uploads */
export function assertUploadsFit({ uploads_per_package: most }: Quotas, id: string, open: number, asked: number): void {
  if (asked === 0 || open + asked <= most) return;
  throw new StoreError(
    'too_many_uploads',
    `${id} has ${open} open uploads, and this would open ${asked}; it may have ${most} at once: commit or abort some, then plan these.`,
    {
      limit: 'uploads_per_package',
      allowed: most,
      used: open,
      asked,
      retry_after: UPLOADS_AGAIN_S,
      headers: { 'Retry-After': String(UPLOADS_AGAIN_S) },
    },
  );
}
