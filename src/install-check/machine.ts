import { readFile } from 'node:fs/promises';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Check, failure, ok, warning } from './check.ts';

/** Fewer open files are soon used up: a connection is one, and each upload has some. */
const OPEN_FILES_MIN = 4_096;
/** No clock that is right shows an earlier time; ms since 1970. */
const CLOCK_MIN = Date.UTC(2026, 0, 1);

/** What is asked of the machine; another one for tests. */
export interface Machine {
  nodeVersion: string;
  uid: number | null;
  now: number;
  /** /proc/self/limits; null where there is none. */
  limits: string | null;
}

export async function thisMachine(): Promise<Machine> {
  return {
    nodeVersion: process.version,
    uid: process.getuid?.() ?? null,
    now: Date.now(),
    limits: await readFile('/proc/self/limits', 'utf8').catch(() => null),
  };
}

export function machineChecks({ nodeVersion, uid, now, limits }: Machine): Check[] {
  return [
    // An older one was refused before anything else was loaded.
    ok('node', `Node.js ${nodeVersion} runs this command.`),
    zstd(),
    user(uid),
    clock(now),
    ...(limits === null ? [] : [openFiles(limits)]),
  ];
}

function zstd(): Check {
  const bytes = Buffer.from('artifact-store '.repeat(100));
  const same = zstdDecompressSync(zstdCompressSync(bytes)).equals(bytes);
  return same
    ? ok('zstd', 'Node.js compresses and decompresses zstd.')
    : failure('zstd', 'Node.js does not give back what it compressed with zstd.', 'Use the Node.js of nodejs.org.');
}

function user(uid: number | null): Check {
  if (uid !== 0) return ok('user', `It runs as user ${uid === null ? 'of this system' : uid}, not as root.`);
  return warning(
    'user',
    'It runs as root, who may do everything: the checks below say little of what another user may do.',
    'Run the service, and this check, as a user of its own: docs/install.md.',
  );
}

function clock(now: number): Check {
  const says = `This machine's clock says ${new Date(now).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  if (now >= CLOCK_MIN) return ok('clock', `${says}.`);
  const advice = 'Set it, and keep it right with NTP: signed URLs and retention go by it.';
  return failure('clock', `${says}, which is long ago.`, advice);
}

/** Node raises the soft limit to the hard one when it starts. */
function openFiles(limits: string): Check {
  const name = 'open_files';
  const [, text = 'unlimited'] = /^Max open files +(\S+)/m.exec(limits) ?? [];
  const allowed = text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
  const says = `This process may have ${text} files and connections open`;
  if (allowed >= OPEN_FILES_MIN) return ok(name, `${says}.`);
  return warning(
    name,
    `${says}, which many clients at once use up.`,
    'Raise it: LimitNOFILE=65536 in the unit, `ulimit -n 65536` in a shell.',
  );
}
