import type { ArchiveFormat } from './archive.ts';
import { TAR_ARCHIVE } from './tar-archive.ts';
import { ZIP_ARCHIVE } from './zip-archive.ts';

/** How an archive of a package is made. */
export interface ArchiveKind {
  format: ArchiveFormat;
  /** With zstd, as a stream: its length is not known before, and no range of it can be given. */
  compressed: boolean;
  /** The package as a bag (bag-layout.ts); else its files alone. */
  bag: boolean;
  /** Of its file's name. */
  ending: string;
  mediaType: string;
}

/** By the name that the API and the command line have for it. */
export const ARCHIVE_KINDS = {
  tar: { format: TAR_ARCHIVE, compressed: false, bag: false, ending: '.tar', mediaType: 'application/x-tar' },
  'tar.zst': { format: TAR_ARCHIVE, compressed: true, bag: false, ending: '.tar.zst', mediaType: 'application/zstd' },
  zip: { format: ZIP_ARCHIVE, compressed: false, bag: false, ending: '.zip', mediaType: 'application/zip' },
  bagit: { format: ZIP_ARCHIVE, compressed: false, bag: true, ending: '.zip', mediaType: 'application/zip' },
  'bagit.tar': { format: TAR_ARCHIVE, compressed: false, bag: true, ending: '.tar', mediaType: 'application/x-tar' },
} as const satisfies Record<string, ArchiveKind>;

export type ArchiveKindName = keyof typeof ARCHIVE_KINDS;

export const ARCHIVE_KIND_NAMES = Object.keys(ARCHIVE_KINDS) as ArchiveKindName[];

/** Whether files have their own names in the archive, or such as Windows can hold. */
export const ARCHIVE_NAMES = ['exact', 'portable'] as const;
export type ArchiveNames = (typeof ARCHIVE_NAMES)[number];
