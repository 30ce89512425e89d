import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../../../src/core/digest.ts';
import { FrameTable, type PlacedFrame, type StoredForm } from '../../../src/core/frame-table.ts';
import type { PackMember } from '../../../src/core/pack.ts';
import { CliError, EXIT } from '../../errors.ts';
import { cut } from '../concurrency.ts';
import type { FilePart } from '../tree/file-list.ts';
import type { StoredFile } from '../tree/hash-file.ts';
import {
  assertUnchanged,
  type FoundFile,
  fileChanged,
  fileError,
  identityOf,
  OPEN_FLAGS,
  sameIdentity,
} from '../tree/local-file.ts';
import type { HashedFile } from '../tree/readers.ts';
import type { ByteSource } from './part-sender.ts';

/** One thing that is sent: a file of its own, or a pack. */
export interface SentObject extends ByteSource {
  digest: Digest;
  size: number;
  /** The form that is sent instead; null: the object is sent as it is. */
  stored: StoredForm | null;
  /** Of what is sent; only when it is sent in several. */
  parts: FilePart[] | null;
  /** Only of a pack. */
  members: PackMember[] | null;
  /** How many files' bytes it holds. */
  files: number;
  /** Those bytes: a pack has some of its own too. */
  content: number;
  /** Has the bytes at hand: before they are sent, and before they are sent once more. */
  hold(): Promise<void>;
  /** Storage has the bytes: they need not be kept at hand. */
  release(): void;
  /** What a message about it names. @param digest the member's, when it is about one */
  named(digest?: string): { path: string; digest: string };
  /** Throws when the bytes are no longer those that were hashed. */
  assertUnchanged(): Promise<void>;
  /** Why the service saw other bytes than those that were hashed. */
  differs(why: string): Promise<Error>;
}

const PIECE = 1024 ** 2;

/** How a file is sent in its stored form. */
export interface Sending {
  /** Stored bytes that were not kept are made again, some frames at a time. @throws CliError file_changed */
  makeAgain(file: HashedFile, content: { offset: number; sizes: readonly number[] }): Promise<Buffer>;
  /** The stored bytes that came with it are not needed any more. */
  letGo(file: HashedFile): void;
}

/** A file's bytes, or its stored form. What is opened is compared with what was hashed. */
export function fileObject(file: HashedFile, sending: Sending): SentObject {
  const { path, digest, size, stored } = file;
  return {
    digest,
    size,
    stored,
    parts: stored === null ? file.parts : stored.parts,
    members: null,
    files: 1,
    content: size,
    label: JSON.stringify(path),
    // On the disk, or kept since it was hashed.
    hold: async () => {},
    release: () => sending.letGo(file),
    named: () => ({ path, digest }),
    pieces: (offset, length) =>
      stored === null ? readPieces(file, offset, length) : storedPieces(file, stored, sending, offset, length),
    assertUnchanged: () => assertUnchanged(file),
    async differs() {
      await assertUnchanged(file);
      return new CliError(`${JSON.stringify(path)} does not have the bytes that were hashed: nothing was finalized.`, {
        exit: EXIT.failed,
        code: 'file_changed',
        next: 'Run the command again with --rehash: that reads every file.',
        extras: { path },
      });
    },
  };
}

/** Bytes that are in memory while they are held: a pack, or a small file alone. */
export function memoryObject(
  object: Pick<SentObject, 'digest' | 'size' | 'members' | 'stored'>,
  held: { bytes: () => Buffer; hold: () => Promise<void>; release: () => void },
  pathOf: (digest: Digest) => string,
): SentObject {
  const { digest, members } = object;
  const files = members?.length ?? 1;
  const content = members === null ? object.size : members.reduce((sum, { size }) => sum + size, 0);
  const named = (about?: string) => {
    const named = members?.find((member) => member.digest === about)?.digest ?? members?.[0]?.digest ?? digest;
    return { path: pathOf(named), digest: named };
  };
  const label = members === null ? JSON.stringify(pathOf(digest)) : `a pack of ${files} files`;
  return {
    ...object,
    parts: null,
    files,
    content,
    label,
    named,
    hold: held.hold,
    release: held.release,
    *pieces(offset, length) {
      const bytes = held.bytes();
      const end = offset + length;
      for (let at = offset; at < end; at += PIECE) yield bytes.subarray(at, Math.min(end, at + PIECE));
    },
    assertUnchanged: async () => {},
    differs: async (why) => mismatch(label, named(), why),
  };
}

/** Bytes that go over the wire. */
export function sentSize({ size, stored }: SentObject): number {
  return stored?.size ?? size;
}

/** The stored form as a plan says it. */
export function storedAs({ digest, size, frames }: StoredForm) {
  return {
    encoding: 'zstd-seekable' as const,
    stored_size: size,
    stored_digest: digest,
    frames: Buffer.from(frames).toString('base64'),
  };
}

export function mismatch(label: string, named: { path: string; digest: string }, why: string): CliError {
  const message = `${label} arrived with the wrong bytes: ${why}`;
  return new CliError(message, { exit: EXIT.integrity, code: 'digest_mismatch', extras: named });
}

/** Content of the frames that are made again at a time: others that are being sent wait for theirs meanwhile. */
const MADE_AT_ONCE = 2 * 1024 ** 2;

/** Stored bytes that are kept, or made again. */
async function* storedPieces(
  file: HashedFile,
  { bytes, frames }: StoredFile,
  { makeAgain }: Sending,
  offset: number,
  size: number,
): AsyncGenerator<Buffer> {
  const end = offset + size;
  if (bytes !== null) {
    const { buffer, byteOffset } = bytes;
    for (let at = offset; at < end; at += PIECE) yield Buffer.from(buffer, byteOffset + at, Math.min(PIECE, end - at));
    return;
  }
  const table = FrameTable.decode(frames);
  const wanted = [...table].filter((frame) => frame.storedAt + frame.stored > offset && frame.storedAt < end);
  for (const some of cut(wanted, { content: MADE_AT_ONCE }, ({ logical }) => ({ content: logical }))) {
    const { logicalAt, storedAt } = some[0] as PlacedFrame;
    const made = await makeAgain(file, { offset: logicalAt, sizes: some.map(({ logical }) => logical) });
    yield made.subarray(Math.max(0, offset - storedAt), end - storedAt);
  }
  const behind = table.framesSize;
  if (end > behind) yield table.seekTable().subarray(Math.max(0, offset - behind), end - behind);
}

async function openFound(file: FoundFile): Promise<FileHandle> {
  const handle = await open(file.absolute, OPEN_FLAGS).catch((error: unknown) => {
    throw fileError(file.path, error);
  });
  const stats = await handle.stat({ bigint: true });
  if (sameIdentity(identityOf(stats), file.identity)) return handle;
  await handle.close();
  throw fileChanged(file.path);
}

async function* readPieces(file: FoundFile, offset: number, size: number): AsyncGenerator<Buffer> {
  const handle = await openFound(file);
  try {
    // While one is on the wire the other one is filled.
    const buffers: Buffer[] = [];
    for (let done = 0, turn = 0; done < size; turn ^= 1) {
      const buffer = buffers[turn] ?? Buffer.allocUnsafeSlow(Math.min(PIECE, size));
      buffers[turn] = buffer;
      const piece = await readPiece(handle, buffer, offset + done, size - done, file);
      done += piece.length;
      yield piece;
    }
  } finally {
    await handle.close();
  }
}

async function readPiece(
  handle: FileHandle,
  buffer: Buffer,
  position: number,
  left: number,
  file: FoundFile,
): Promise<Buffer> {
  const wanted = Math.min(buffer.length, left);
  const { bytesRead } = await handle.read(buffer, 0, wanted, position).catch((error: unknown) => {
    throw fileError(file.path, error);
  });
  if (bytesRead === 0) throw fileChanged(file.path, 'became shorter');
  return buffer.subarray(0, bytesRead);
}
