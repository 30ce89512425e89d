import type { Package } from '../../src/api/types.ts';
import { comparePaths } from '../../src/core/logical-path.ts';
import { CliError } from '../errors.ts';
import type { ProgressReport } from '../progress.ts';
import type { ApiClient } from './api-client.ts';
import { packageFiles } from './package-files.ts';
import { readFiles } from './pull.ts';

export interface Failure {
  path: string;
  detail: string;
}

export interface Verification {
  files: number;
  bytes: number;
  /** Files whose bytes are not what the package says, in the order of their paths. */
  failures: Failure[];
}

const PARALLEL = 8;

/**
 * Reads every file of a package through the service and hashes it; the manifest is held against its digest first. What
 * does not match is collected, so that one bad file does not hide the next. @throws CliError integrity_failure for the
 * manifest itself
 */
export async function verifyPackage(
  client: ApiClient,
  pkg: Package,
  watch?: (report: () => ProgressReport) => void,
): Promise<Verification> {
  const files = await packageFiles(client, pkg);
  const totalBytes = files.reduce((total, { size }) => total + size, 0);
  const done = { files: 0, bytes: 0 };
  const failures: Failure[] = [];
  watch?.(() => ({ phase: 'verifying', ...done, totalFiles: files.length, totalBytes }));
  await readFiles(client, pkg.id, files, PARALLEL, async (reader, entry, file) => {
    try {
      for await (const chunk of reader.read(entry)) done.bytes += chunk.length;
    } catch (error) {
      const failure = failureOf(file.path, error);
      if (failure === null) throw error;
      failures.push(failure);
    }
    done.files += 1;
  });
  failures.sort((a, b) => comparePaths(a.path, b.path));
  return { files: files.length, bytes: totalBytes, failures };
}

/** Bytes that are wrong, or are not there: both are findings. Anything else ends the verification. */
function failureOf(path: string, error: unknown): Failure | null {
  if (error instanceof CliError && error.code === 'integrity_failure') return { path, detail: error.message };
  const code = (error as { code?: unknown }).code;
  if (code === 'integrity_failure' || code === 'object_not_found' || code === 'internal') {
    return { path, detail: `${JSON.stringify(path)} cannot be read: ${(error as Error).message}` };
  }
  return null;
}
