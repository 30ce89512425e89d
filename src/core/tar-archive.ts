import type { ArchiveFormat, ArchiveMember } from './archive.ts';
import { TAR_END, tarHeader, tarHeaderSize, tarPadding, tarPaddingSize } from './tar.ts';

/** A tar file, with extended headers for those members alone that need one. */
export const TAR_ARCHIVE: ArchiveFormat = {
  needsCrc: false,
  headerSize: (member) => tarHeaderSize(tarMember(member)),
  header: (member) => tarHeader(tarMember(member)),
  trailerSize: ({ size }) => tarPaddingSize(size),
  trailer: ({ size }) => tarPadding(size),
  entrySize: () => 0,
  entry: () => Buffer.alloc(0),
  endSize: () => TAR_END.length,
  end: () => TAR_END as Buffer,
};

function tarMember({ path, size, executable, modifiedAt }: ArchiveMember) {
  return { path, size, executable, mtime: modifiedAt };
}
