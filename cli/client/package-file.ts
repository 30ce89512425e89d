import type { ComparedFile } from './compare.ts';

/** A file as a package lists it. */
export interface PackageFile extends ComparedFile {
  mtime: string | null;
  executable: boolean;
}
