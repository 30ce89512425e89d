import type { ByteRange } from '../blobs/blob-store.ts';
import type { ArchiveMember } from '../core/archive.ts';
import type { ReadMembers } from '../core/archive-bytes.ts';
import { type Digest, digestOf } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import type { FileLocation } from '../registry/files.ts';
import { readFile } from './read-file.ts';
import { type Stretch, stretchReader } from './read-stretch.ts';
import type { Caller, Services, WithReader } from './services.ts';

/** Files up to this size are read together; of larger ones each is a read of its own. */
const SMALL_MAX = 1024 ** 2;
/** Bytes of small files that are read ahead together; up to twice as many wait in memory. */
const WINDOW = 4 * 1024 ** 2;
/** What stands between two files is read along rather than asked for in two requests. */
const GAP_MAX = 256 * 1024;
const STRETCH_MAX = 2 * WINDOW;

/**
 * Reads members in their order. Small files that stand near each other in an object come by one request, wherever they stand in the
 * archive's order; while some are given out, the next ones are read. Whatever is not right is read once more by itself, which tells
 * and reports damage as any read of a file does.
 */
export function archiveContents(services: Services<WithReader>, caller: Caller, packageId: PackageId): ReadMembers {
  return async function* read(members) {
    const windows = windowsOf(members);
    const fetch = await fetcher(services, packageId, members);
    let next = windows[0] && fetch(windows[0]);
    for (const [index, window] of windows.entries()) {
      const fetched = await next;
      const following = windows[index + 1];
      next = following && fetch(following);
      for (const member of window) {
        const small = fetched?.(member);
        if (small) yield small;
        else yield* alone(services, caller, packageId, member);
      }
    }
  };
}

async function* alone(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
  { source }: ArchiveMember,
): AsyncGenerator<Uint8Array> {
  if ('make' in source) return yield* source.make();
  const readable = await readFile(services, caller, packageId, source.file);
  const content = await readable.openWhole();
  if (Buffer.isBuffer(content)) yield content;
  else yield* content as AsyncIterable<Uint8Array>;
}

/** Members whose small files are about a window. */
function windowsOf(members: readonly ArchiveMember[]): ArchiveMember[][] {
  const windows: ArchiveMember[][] = [];
  let left = 0;
  for (const member of members) {
    const size = isSmall(member) ? member.size : 0;
    if (windows.length === 0 || size > left) {
      windows.push([]);
      left = WINDOW;
    }
    windows.at(-1)?.push(member);
    left -= size;
  }
  return windows;
}

function isSmall({ size, source }: ArchiveMember): boolean {
  return 'file' in source && size <= SMALL_MAX;
}

/** The content of a small file of a window, checked; null: it must be read alone. */
type Fetched = (member: ArchiveMember) => Buffer | null;

/** Never throws: what could not be read is missing. */
async function fetcher(
  services: Services<WithReader>,
  packageId: PackageId,
  members: readonly ArchiveMember[],
): Promise<(window: readonly ArchiveMember[]) => Promise<Fetched>> {
  const paths = members.flatMap((member) => (isSmall(member) ? pathOf(member) : []));
  const locations = paths.length === 0 ? [] : await services.registry.read.files.locate(packageId, paths);
  const byDigest = new Map(locations.map((location) => [location.digest, location]));
  const readStretch = await stretchReader(services, [...new Set(locations.map(({ object_id }) => object_id))]);
  return async (window) => {
    const wanted = new Map<Digest, FileLocation>();
    for (const member of window) {
      const location = isSmall(member) ? byDigest.get(member.digest) : undefined;
      if (location) wanted.set(member.digest, location);
    }
    const contents = new Map<Digest, Buffer>();
    for (const { stretch, locations } of stretchesOf([...wanted.values()])) {
      const bytes = await readStretch(stretch);
      if (bytes === null) continue;
      // What was read along would stay in memory for as long as any of them.
      const isDense = stretch.size < 2 * locations.reduce((total, { size }) => total + size, 0);
      for (const { digest, offset, size } of locations) {
        const content = bytes.subarray(offset - stretch.offset, offset - stretch.offset + size);
        contents.set(digest, isDense ? content : Buffer.from(content));
      }
    }
    return ({ digest }) => {
      const bytes = contents.get(digest) ?? null;
      return bytes !== null && digestOf(bytes) === digest ? bytes : null;
    };
  };
}

function pathOf({ source }: ArchiveMember): LogicalPath[] {
  return 'file' in source ? [source.file] : [];
}

/** What can be read by one request each. */
function stretchesOf(
  locations: readonly FileLocation[],
): Array<{ stretch: Stretch & ByteRange; locations: FileLocation[] }> {
  const ordered = locations.toSorted((a, b) =>
    a.object_id < b.object_id ? -1 : a.object_id > b.object_id ? 1 : a.offset - b.offset,
  );
  const stretches: Array<{ stretch: Stretch & ByteRange; locations: FileLocation[] }> = [];
  for (const location of ordered) {
    const { object_id: objectId, offset, size } = location;
    const last = stretches.at(-1);
    const end = last ? last.stretch.offset + last.stretch.size : 0;
    const together = last ? Math.max(end, offset + size) - last.stretch.offset : 0;
    if (last?.stretch.objectId === objectId && offset - end <= GAP_MAX && together <= STRETCH_MAX) {
      last.stretch.size = together;
      last.locations.push(location);
    } else {
      stretches.push({ stretch: { objectId, offset, size }, locations: [location] });
    }
  }
  return stretches;
}
