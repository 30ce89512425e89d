import * as z from 'zod/mini';
import { FileDeletion } from '../../../../src/api/file-deletions.ts';
import { File, RegisteredFiles } from '../../../../src/api/files.ts';
import { FoundFile } from '../../../../src/api/found-files.ts';
import { document, KIB, listOf, page } from './answer.ts';

/** A path, and its escapes. */
const ITEM_MAX = 8 * KIB;

export const registered = listOf(RegisteredFiles, ITEM_MAX);
export const files = page(File, ITEM_MAX);
/** Beside the path the names of its package. */
export const foundFiles = page(FoundFile, 2 * ITEM_MAX);
export const fileDeletion = document(FileDeletion);

/** Files of a manifest, as this client needs them. Which paths are none is told by who reads the list (package-files.ts). */
export const ManifestFiles = z.array(
  z.object({
    path: z.string(),
    sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/, 'is not 64 hex digits')),
    size: File.shape.size,
    mtime: z.optional(File.shape.mtime),
    executable: z.optional(z.boolean()),
  }),
);
