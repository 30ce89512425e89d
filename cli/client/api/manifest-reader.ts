import { createHash } from 'node:crypto';
import { digestFromHex } from '../../../src/core/digest.ts';
import { splitManifest } from '../../../src/core/manifest-splitter.ts';
import type { PackageFile } from '../package-file.ts';

/** What a manifest is said to be: its package's id and how many files it lists. */
export interface ExpectedManifest {
  id: string;
  file_count: number;
}

export interface ReadManifest {
  /** Of the bytes that came. */
  digest: string;
  files: PackageFile[];
  /** What is wrong with them, as half a sentence; null when they are a manifest of the package. */
  problem: string | null;
}

/**
 * Reads a manifest as it arrives and keeps only the list of its files. The digest covers all bytes, even those after
 * the first problem: the caller decides which of the two says more.
 */
export async function readManifest(bytes: AsyncIterable<Buffer>, expected: ExpectedManifest): Promise<ReadManifest> {
  const [{ ManifestFiles }, { sayIssue }] = await Promise.all([
    import('./answers/files.ts'),
    import('./answers/answer.ts'),
  ]);
  const hashed = createHash('sha256');
  const files: PackageFile[] = [];
  let problem: string | null = null;
  const splitter = splitManifest((text) => {
    const found = ManifestFiles.safeParse(JSON.parse(text));
    if (!found.success) throw new Problem(`files.${sayIssue(found.error, files.length)}`);
    for (const { path, sha256, size, mtime, executable } of found.data) {
      files.push({ path, digest: digestFromHex(sha256), size, mtime: mtime ?? null, executable: executable ?? false });
    }
    if (files.length > expected.file_count) throw new Problem('it lists more files than the package has');
  });
  const attempt = (work: () => void): void => {
    try {
      if (problem === null) work();
    } catch (error) {
      problem = error instanceof Problem ? error.message : 'it is not JSON';
    }
  };
  for await (const chunk of bytes) {
    hashed.update(chunk);
    attempt(() => splitter.push(chunk));
  }
  attempt(() => {
    const { files: list, package: pkg } = splitter.end() as { files?: unknown; package?: { id?: unknown } };
    if (!Array.isArray(list)) throw new Problem('it lists no files');
    if (pkg?.id !== expected.id) throw new Problem('it is of another package');
    if (files.length !== expected.file_count) throw new Problem('it lists fewer files than the package has');
  });
  return { digest: digestFromHex(hashed.digest('hex')), files, problem };
}

class Problem extends Error {}
