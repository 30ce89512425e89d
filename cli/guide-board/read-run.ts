import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Json } from '../../src/core/canonical-json.ts';
import { parseJson } from '../../src/core/parse-json.ts';
import {
  CHECK_GROUP_FILES,
  CHECK_GROUPS_FOLDER,
  DOCUMENTS,
  type DocumentName,
  EXPECTED_FILES,
  REPORTS_FOLDER,
  RUN_FILE,
} from '../../src/core/run-shape.ts';
import { RunError } from './run-error.ts';

/** A run as it lies in its directory: the few documents that describe it, and what else is there. */
export interface RunDirectory {
  documents: Partial<Record<DocumentName, Json>>;
  /** Files below reports/, sorted. */
  reportPaths: string[];
  /** Files that a run can have and this one has not, sorted as guide-board lists them. */
  missing: string[];
  /** Documents that are there and cannot be used: they are kept like every file, but nothing is read from them. */
  unreadable: Array<{ path: string; problem: string }>;
}

/** No document that describes a run comes near this; the rest of the directory is never read here. */
export const DOCUMENT_MAX_BYTES = 64 * 1024 ** 2;

/**
 * Reads what describes the run. Files that are missing, or broken, are reported and never an error, but for run.json.
 * @throws RunError when the directory cannot be read or run.json is missing, too large or no JSON
 */
export async function readRun(directory: string, maxBytes = DOCUMENT_MAX_BYTES): Promise<RunDirectory> {
  await assertDirectory(directory);
  const documents: Partial<Record<DocumentName, Json>> = {};
  const unreadable: RunDirectory['unreadable'] = [];
  for (const [name, file] of Object.entries(DOCUMENTS) as Array<[DocumentName, string]>) {
    const read = await readDocument(directory, file, maxBytes);
    if ('value' in read) documents[name] = read.value;
    else if (file === RUN_FILE)
      throw new RunError(`${RUN_FILE} ${read.problem}: ${directory} is not a guide-board run.`, { file });
    else if (!read.absent) unreadable.push({ path: file, problem: read.problem });
  }
  const missing = [...(await absentFiles(directory, EXPECTED_FILES)), ...(await missingArtifacts(directory))];
  return { documents, reportPaths: await filesBelow(directory, REPORTS_FOLDER), missing, unreadable };
}

async function assertDirectory(directory: string): Promise<void> {
  try {
    for await (const _ of await readdir(directory)) return;
  } catch (error) {
    throw new RunError(`${directory} cannot be read as a directory (${errorCode(error)}).`, {}, { cause: error });
  }
}

type Read = { value: Json } | { problem: string; absent: boolean };

async function readDocument(directory: string, file: string, maxBytes: number): Promise<Read> {
  const refuse = (problem: string): Read => ({ problem, absent: false });
  try {
    const target = path.join(directory, file);
    // Checked before it is opened: opening a named pipe would wait forever.
    if (!(await lstat(target)).isFile()) return refuse('is not a regular file');
    await using handle = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { size } = await handle.stat();
    if (size > maxBytes) return refuse(`has ${size} bytes, more than the ${maxBytes} that such a document may have`);
    return parse(await handle.readFile());
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { problem: 'is missing', absent: true };
    return refuse(`cannot be read (${code})`);
  }
}

function parse(bytes: Buffer): Read {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { problem: 'is not UTF-8 text', absent: false };
  }
  try {
    return { value: parseJson(text) as Json };
  } catch (error) {
    return { problem: `is not JSON (${(error as Error).message})`, absent: false };
  }
}

async function absentFiles(directory: string, files: readonly string[]): Promise<string[]> {
  const absent = await Promise.all(
    files.map((file) =>
      lstat(path.join(directory, file)).then(
        () => false,
        () => true,
      ),
    ),
  );
  return files.filter((_, nth) => absent[nth]);
}

async function missingArtifacts(directory: string): Promise<string[]> {
  const groups = (await entries(directory, CHECK_GROUPS_FOLDER)).filter((entry) => entry.isDirectory());
  if (groups.length === 0) return [`${CHECK_GROUPS_FOLDER}/`];
  const missing: string[] = [];
  for (const { name } of groups) {
    const files = CHECK_GROUP_FILES.map((file) => `${CHECK_GROUPS_FOLDER}/${name}/${file}`);
    missing.push(...(await absentFiles(directory, files)));
  }
  return missing;
}

async function filesBelow(directory: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  const pending = [folder];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for (const entry of await entries(directory, below)) {
      if (entry.isDirectory()) pending.push(`${below}/${entry.name}`);
      else if (entry.isFile()) found.push(`${below}/${entry.name}`);
    }
  }
  return found.sort();
}

/** Sorted by name; none where the folder is missing or cannot be read (the push names what cannot be read). */
async function entries(directory: string, folder: string): Promise<Dirent[]> {
  const found = await readdir(path.join(directory, folder), { withFileTypes: true }).catch(() => []);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
