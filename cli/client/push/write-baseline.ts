import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';
import { CliError, EXIT } from '../../errors.ts';
import { cut } from '../concurrency.ts';
import { BASELINE_FILE, baselineLine } from '../secrets/baseline.ts';
import type { SecretFindings } from '../secrets/collect-secrets.ts';
import { FileCache } from '../tree/file-cache.ts';
import type { FileIndex, FileList } from '../tree/file-list.ts';
import { hashFiles } from '../tree/hash-files.ts';
import { readListFile } from '../tree/list-file.ts';
import { Readers } from '../tree/readers.ts';
import { lookForPush, type PushLookOptions } from './push-look.ts';
import { BASELINE_MAX_BYTES, readBaseline, secretsOf, withSecrets } from './push-secrets.ts';

export interface BaselineOptions extends PushLookOptions {
  /** Read every file, whatever the cache says of it. */
  rehash?: boolean | undefined;
}

export interface WrittenBaseline {
  /** Its path. */
  file: string;
  /** Lines that it did not have before. */
  added: number;
  findings: SecretFindings;
}

const LIST = { items: 1_000, bytes: 256 * 1024 ** 2 };
const HEAD = '# Secrets that are known and accepted: digest, kind and file (docs/secrets.md).\n';

/**
 * Accepts every secret that a push of the directory would find now: its own lines stay, those that lack are added. Asks no
 * service. @throws CliError for what cannot be pushed; file_refused when the file cannot be written
 */
export async function writeBaseline(
  options: BaselineOptions,
  {
    signal,
    env,
    note,
  }: { signal: AbortSignal; env: Record<string, string | undefined>; note?: (text: string) => void },
): Promise<WrittenBaseline> {
  const { files } = await lookForPush(options, { signal, note });
  const baseline = readBaseline(files.root);
  await lookThrough(files, { signal, env, note, rehash: options.rehash === true });
  const lines = new Set<string>();
  for (const { path, secrets } of withSecrets(files)) {
    for (const secret of secrets) if (!baseline.accepts(path, secret)) lines.add(baselineLine(path, secret));
  }
  const findings = secretsOf(files, baseline);
  const file = join(files.root, BASELINE_FILE);
  if (lines.size > 0) add(files.root, file, [...lines]);
  return { file, added: lines.size, findings };
}

async function lookThrough(
  files: FileList,
  {
    signal,
    env,
    note,
    rehash,
  }: { signal: AbortSignal; env: Record<string, string | undefined>; note?: (text: string) => void; rehash: boolean },
): Promise<void> {
  const readers = new Readers();
  const stop = (): void => void readers.stop();
  signal.addEventListener('abort', stop);
  const cache = await FileCache.open({ env, note });
  try {
    if (!rehash) cache.load(files, true);
    readers.expect(files.unhashed());
    const unread = Array.from({ length: files.length }, (_, index): FileIndex => index).filter(
      (index) => files.secrets(index) === null,
    );
    const how = { readers, limits: DEFAULT_LIMITS, level: null, cache, scan: true };
    for (const indexes of cut(unread, LIST, (index) => ({ items: 1, bytes: files.size(index) }))) {
      await hashFiles(files, indexes, how);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    cache.close();
    await readers.stop();
  }
}

/** Nobody reads half a file. */
function add(root: string, file: string, lines: readonly string[]): void {
  const before = readListFile(root, BASELINE_FILE, BASELINE_MAX_BYTES);
  const head = before === '' ? HEAD : before.endsWith('\n') ? before : `${before}\n`;
  const temporary = `${file}.${process.pid}`;
  try {
    writeFileSync(temporary, `${head}${lines.join('\n')}\n`, { flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(`${JSON.stringify(file)} cannot be written: ${(error as Error).message}.`, {
      exit: EXIT.failed,
      code: 'file_refused',
      cause: error,
    });
  }
}
