const LOCKS = "SQLite's locks and the folder's own need a local file system: use one, or PostgreSQL and a bucket.";
const GONE =
  'Name a folder on a disk, or mount a volume there: what is in memory, or in the layer of a container, ends with it.';

interface Kind {
  what: string;
  advice: string;
  /** Also where the folder holds nothing that is not elsewhere, too. */
  always: boolean;
}

/** By the magic number of statfs(2). */
const KINDS: ReadonlyMap<number, Kind> = new Map([
  [0x6969, { what: 'on NFS', advice: LOCKS, always: true }],
  [0xff534d42, { what: 'on SMB', advice: LOCKS, always: true }],
  [0xfe534d42, { what: 'on SMB', advice: LOCKS, always: true }],
  [0x65735546, { what: 'on FUSE', advice: `Ask whether it keeps what was synced. ${LOCKS}`, always: true }],
  [0x01021994, { what: 'in memory (tmpfs)', advice: GONE, always: false }],
  [0x858458f6, { what: 'in memory (ramfs)', advice: GONE, always: false }],
  [0x794c7630, { what: 'on an overlay, as the root of a container is', advice: GONE, always: false }],
]);

/** What is wrong with a data folder on a file system of this type; null: nothing is known. @param only it holds what is nowhere else */
export function fileSystemProblem(type: number, only: boolean): { says: string; advice: string } | null {
  // 32 bits, signed on some systems.
  const kind = KINDS.get(type >>> 0);
  if (kind === undefined || !(kind.always || only)) return null;
  return { says: `${kind.what}.`, advice: kind.advice };
}
