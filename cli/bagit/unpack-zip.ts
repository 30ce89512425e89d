import { createWriteStream, utimesSync, writeFileSync } from 'node:fs';
import { type FileHandle, mkdir, open, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, inflateRawSync } from 'node:zlib';
import { type Entry, fromFdPromise, getFileNameLowLevel } from 'yauzl';
import { DECLARATION_FILE } from '../../src/core/bag-names.ts';
import { ancestors, pathProblem } from '../../src/core/logical-path.ts';
import { CliError, EXIT } from '../errors.ts';
import { formatBytes } from '../format.ts';
import type { ProgressReport } from '../progress.ts';
import { badBag, damagedZip } from './bag-problems.ts';

export const ENTRIES_MAX = 1_000_000;
const [STORED, DEFLATED] = [0, 8];
/** The most that deflate makes of a byte. */
const RATIO_MAX = 1_032;
/** Bytes. */
const SMALL_MAX = 1024 ** 2;
const TYPES = 0o170_000;
const [FOLDER, FILE] = [0o040_000, 0o100_000];

/** Names are decoded here: yauzl takes a backslash for a slash, or refuses it; a file may have one in its name. */
const OPTIONS = { autoClose: false, decodeStrings: false, validateEntrySizes: true };

/** What a bag in a ZIP file is called there: null, when the file itself is the bag. */
export interface UnpackedBag {
  directory: string;
  folder: string | null;
}

/**
 * Unpacks a ZIP file with a bag, in its root or in one folder, below a folder that is empty. All names and sizes are looked at before
 * anything is written. @param into nobody else may write there
 * @throws CliError bag_invalid, integrity_failure, no_space, file_unreadable
 */
export async function unpackZip(
  file: string,
  into: string,
  { signal, watch }: { signal: AbortSignal; watch?: ((report: () => ProgressReport) => void) | undefined },
): Promise<UnpackedBag> {
  await using handle = await openZip(file);
  const { size } = await handle.stat();
  const { folder, ...totals } = await survey(handle, size, into);
  const done = { files: 0, bytes: 0 };
  watch?.(() => ({ phase: 'unpacking', ...done, ...totals }));
  const folders = new Set<string>();
  for await (const entry of entriesOf(handle)) {
    signal.throwIfAborted();
    if (isFolder(entry)) continue;
    await unpack(entry, { handle, into, folders, signal });
    done.files += 1;
    done.bytes += entry.uncompressedSize;
  }
  return { directory: folder === null ? into : join(into, folder), folder };
}

async function openZip(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (error) {
    throw new CliError(`${JSON.stringify(file)} cannot be read: ${(error as Error).message}.`, {
      exit: EXIT.failed,
      code: 'file_unreadable',
    });
  }
}

type OpenEntry = Entry & { stream(): Promise<NodeJS.ReadableStream>; start(): Promise<number> };

/** Each entry as the file's directory has it. @throws CliError bag_invalid for one that is not taken */
async function* entriesOf(handle: FileHandle): AsyncGenerator<OpenEntry> {
  try {
    const zip = await fromFdPromise(handle.fd, OPTIONS);
    if (zip.entryCount > ENTRIES_MAX) throw badBag(`The ZIP file has more than ${ENTRIES_MAX} entries.`);
    for await (const entry of zip.eachEntry()) {
      const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
      entry.fileName = getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
      assertTaken(entry);
      const start = async () => (await zip.readLocalFileHeaderPromise(entry, { minimal: true })).fileDataStart;
      yield Object.assign(entry, { stream: () => zip.openReadStreamPromise(entry), start });
    }
  } catch (error) {
    throw asBadZip(error);
  }
}

function asBadZip(error: unknown): unknown {
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (error instanceof CliError || name === 'AbortError' || isOfSystem(code)) return error;
  // Its directory can be read, so it is a ZIP file: bytes of an entry are not what they were.
  if (code?.startsWith('Z_')) return damagedZip(message);
  const why = code === 'ERR_BUFFER_TOO_LARGE' ? 'an entry has too many bytes' : message.replace(/\.+$/, '');
  return badBag(
    `The ZIP file cannot be read: ${why}.`,
    'If it was cut off, copy it again. A bag in a tar file: unpack that, and name the folder.',
  );
}

/** Others are zlib's, about the bytes that it got. */
function isOfSystem(code: string | undefined): boolean {
  return code !== undefined && code !== 'ERR_BUFFER_TOO_LARGE' && !code.startsWith('Z_');
}

function isFolder({ fileName }: Entry): boolean {
  return fileName.endsWith('/');
}

function assertTaken(entry: Entry): void {
  const { fileName, compressionMethod, compressedSize, uncompressedSize, externalFileAttributes } = entry;
  const refuse = (why: string) => badBag(`The ZIP file has ${JSON.stringify(fileName)}, which ${why}.`);
  const problem = pathProblem(isFolder(entry) ? fileName.slice(0, -1) : fileName);
  if (problem !== null) throw refuse(problem);
  if (entry.isEncrypted()) throw refuse('is encrypted');
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) throw refuse('is neither stored nor deflated');
  const type = (externalFileAttributes >>> 16) & TYPES;
  if (type !== 0 && type !== FILE && type !== FOLDER) throw refuse('is a symlink or another special file');
  if (uncompressedSize > compressedSize * RATIO_MAX + RATIO_MAX) throw refuse('claims more bytes than it can hold');
}

interface Surveyed {
  /** The folder that is the bag; null: the root is. */
  folder: string | null;
  totalFiles: number;
  totalBytes: number;
}

/** @param size of the file */
async function survey(handle: FileHandle, size: number, into: string): Promise<Surveyed> {
  const [files, folders, tops] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let [packed, total] = [0, 0];
  for await (const entry of entriesOf(handle)) {
    const { fileName: name } = entry;
    const path = isFolder(entry) ? name.slice(0, -1) : name;
    tops.add(path.split('/', 1)[0] as string);
    for (const folder of isFolder(entry) ? [...ancestors(path), path] : ancestors(path)) folders.add(folder);
    if (isFolder(entry)) continue;
    if (files.has(path)) throw badBag(`The ZIP file has ${JSON.stringify(path)} twice.`);
    files.add(path);
    packed += entry.compressedSize;
    total += entry.uncompressedSize;
    // Entries that share bytes are how a small file becomes an endless one.
    if (packed > size) throw badBag('The ZIP file has entries that overlap.');
  }
  for (const folder of folders)
    if (files.has(folder)) throw badBag(`The ZIP file has ${JSON.stringify(folder)} as a file and as a folder.`);
  await assertRoom(into, total);
  const totals = { totalFiles: files.size, totalBytes: total };
  if (files.has(DECLARATION_FILE)) return { folder: null, ...totals };
  const [top] = tops;
  if (top !== undefined && tops.size === 1 && files.has(`${top}/${DECLARATION_FILE}`))
    return { folder: top, ...totals };
  throw badBag(`The ZIP file has no ${DECLARATION_FILE} in its root, nor in one folder that holds everything.`);
}

async function assertRoom(into: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(into);
  if (bytes <= bavail * bsize) return;
  throw new CliError(
    `The ZIP file unpacks to ${formatBytes(bytes)}, and the temporary folder has room for ${formatBytes(bavail * bsize)}.`,
    { exit: EXIT.failed, code: 'no_space', next: 'Name a folder with more room in TMPDIR; or unpack it yourself.' },
  );
}

interface Unpacking {
  handle: FileHandle;
  into: string;
  /** Those that are there. */
  folders: Set<string>;
  signal: AbortSignal;
}

async function unpack(entry: OpenEntry, { handle, into, folders, signal }: Unpacking): Promise<void> {
  const { fileName, externalFileAttributes, compressedSize, uncompressedSize } = entry;
  const target = join(into, fileName);
  const parent = dirname(target);
  if (!folders.has(parent)) await mkdir(parent, { recursive: true, mode: 0o700 });
  folders.add(parent);
  const options = { flags: 'wx', mode: ((externalFileAttributes >>> 16) & 0o111) === 0 ? 0o600 : 0o700 };
  let crc = 0;
  try {
    if (compressedSize <= SMALL_MAX && uncompressedSize <= SMALL_MAX) {
      const content = await readSmall(handle, entry);
      crc = crc32(content);
      writeFileSync(target, content, { ...options, flag: options.flags });
    } else {
      const summed = new Transform({
        transform(bytes: Buffer, _, done) {
          crc = crc32(bytes, crc);
          done(null, bytes);
        },
      });
      await pipeline(await entry.stream(), summed, createWriteStream(target, options), { signal });
    }
  } catch (error) {
    throw asBadZip(error);
  }
  if (crc !== entry.crc32) throw damagedZip(`${JSON.stringify(fileName)} has another CRC-32`);
  const modified = entry.getLastModDate();
  if (!Number.isNaN(modified.getTime())) utimesSync(target, modified, modified);
}

/** At once: streams cost a small file ten times as much. */
async function readSmall(handle: FileHandle, entry: OpenEntry): Promise<Buffer> {
  const { compressedSize, uncompressedSize, compressionMethod } = entry;
  const packed = Buffer.allocUnsafe(compressedSize);
  const { bytesRead } = await handle.read(packed, 0, compressedSize, await entry.start());
  if (bytesRead < compressedSize) throw new Error('it ends in the middle of an entry');
  if (compressionMethod === STORED) return packed;
  // Throws when there is more.
  const content = inflateRawSync(packed, { maxOutputLength: Math.max(uncompressedSize, 1) });
  if (content.length < uncompressedSize) throw new Error('not enough bytes in an entry');
  if (content.length > uncompressedSize) throw new Error('too many bytes in an entry');
  return content;
}
