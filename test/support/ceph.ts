import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { access, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { answers, freePorts } from './ports.ts';
import type { Requirement } from './required.ts';
import type { S3Server } from './s3-place.ts';
import { type Offer, sharedServer } from './shared-servers.ts';

const SCRIPT = fileURLToPath(new URL('ceph-rgw.sh', import.meta.url));
const PROGRAMS = ['ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'];

/** One running Ceph with its S3 gateway. `collectGarbage` destroys what Ceph has taken for garbage, however young. */
export interface Ceph extends S3Server {
  admin(...args: string[]): Promise<string>;
  /** What the gateway has counted since it started: `req`, `put_b`, `get_b` (bytes) and others. */
  counters(): Promise<Record<string, number>>;
  /** kill -9, at once when it is called; settled when it answers no more. */
  killGateway(): Promise<void>;
  startGateway(): Promise<void>;
}

const NEED = {
  what: 'a Ceph with its S3 gateway',
  how: 'Run, as root on Debian 12: apt-get update && apt-get install -y --no-install-recommends ceph-mon ceph-osd radosgw ceph-common',
};

/** For test files that kill or reconfigure it, or count what it does. */
export const OWN_CEPH: Requirement<Ceph> = { ...NEED, start: () => startCeph() };

/** For test files that only use buckets of their own: one for all of them where `test/run.ts` runs them. */
export const CEPH: Requirement<S3Server> = {
  ...NEED,
  async start() {
    const place = await sharedServer<CephPlace>('ceph');
    return place === null ? startCeph() : serverAt(place);
  },
};

/** Where a Ceph runs. */
interface CephPlace {
  dir: string;
  port: number;
}

export const SHARED_CEPH: Offer = {
  async start() {
    const place = await startPlace();
    return { place, stop: () => script(['down', place.dir]) };
  },
};

/** The programs that are not installed. */
async function missingForCeph(): Promise<string[]> {
  const folders = (process.env.PATH ?? '').split(':');
  const found = await Promise.all(
    PROGRAMS.map(async (program) => {
      const tries = folders.map((folder) => access(join(folder, program)).then(() => true));
      return Promise.any(tries).catch(() => false);
    }),
  );
  return PROGRAMS.filter((_, index) => !found[index]);
}

/**
 * Starts a Ceph of its own, on free ports (about 12 s); it ends with this process at the latest.
 * @param settings of the gateway, beside those of ceph-rgw.sh
 */
export async function startCeph(settings: Record<string, string> = {}): Promise<Ceph> {
  const place = await startPlace(settings);
  const { dir, port } = place;
  return {
    ...serverAt(place),
    admin: (...args) => admin(dir, ...args),
    async counters() {
      const socket = join(dir, 'run', 'client.rgw.asok');
      const { stdout } = await promisify(execFile)('ceph', ['--admin-daemon', socket, 'perf', 'dump', 'rgw']);
      return JSON.parse(stdout).rgw;
    },
    async killGateway() {
      process.kill(Number(readFileSync(join(dir, 'run/client.rgw.pid'), 'utf8')), 'SIGKILL');
      while (await answers(port)) await sleep(10);
    },
    startGateway: () => script(['gateway', dir]),
    stop: () => script(['down', dir]),
  };
}

async function startPlace(settings: Record<string, string> = {}): Promise<CephPlace> {
  const missing = await missingForCeph();
  if (missing.length > 0) {
    throw new Error(`${missing.join(', ')} not found`);
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const start = async (): Promise<CephPlace> => {
    const dir = await mkdtemp(join(tmpdir(), 'ceph-'));
    const [port = 0, monV2, monV1] = await freePorts(3);
    await script(['up', dir, String(port), String(monV2), String(monV1), String(process.pid)], lines.join('\n'));
    return { dir, port };
  };
  // Somebody else may have taken a port since it was found free.
  return start().catch((first: unknown) =>
    start().catch((second: unknown) => {
      throw new Error(`${(second as Error).message}\nbefore: ${(first as Error).message}`);
    }),
  );
}

/** What everybody may do with a Ceph that runs; it is not theirs to stop. */
function serverAt({ dir, port }: CephPlace): S3Server {
  return {
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    uploadCredentials: { accessKeyId: 'uploadkey', secretAccessKey: 'uploadsecret' },
    collectGarbage: () => collectGarbage(dir),
    stop: async () => {},
  };
}

async function admin(dir: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, CEPH_CONF: join(dir, 'ceph.conf') };
  return (await promisify(execFile)('radosgw-admin', args, { env })).stdout;
}

/** Until all that is garbage now is gone; others may make more meanwhile. */
async function collectGarbage(dir: string): Promise<void> {
  const tags = async (): Promise<string[]> =>
    JSON.parse(await admin(dir, 'gc', 'list', '--include-all')).map(({ tag }: { tag: string }) => tag);
  let left = await tags();
  // What a gateway was at when it was killed stays locked for ten seconds, and is left out.
  for (const until = Date.now() + 60_000; left.length > 0; ) {
    await admin(dir, 'gc', 'process', '--include-all');
    left = (await tags()).filter((tag) => left.includes(tag));
    if (Date.now() > until) throw new Error('Ceph keeps its garbage');
    if (left.length > 0) await sleep(1_000);
  }
}

/** Its output goes to a file: a pipe would be held open by the daemons that it leaves behind. */
async function script(args: string[], settings = ''): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ceph-log-'));
  const log = join(folder, 'output');
  const output = await open(log, 'w');
  try {
    const env = { ...process.env, CEPH_RGW_SETTINGS: settings };
    // By itself: what ends this process must not keep it from stopping what it has started.
    const child = spawn('bash', [SCRIPT, ...args], { env, detached: true, stdio: ['ignore', output.fd, output.fd] });
    const code = await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
    if (code !== 0) throw new Error(`ceph-rgw.sh ${args[0]} ended with ${code}:\n${await readFile(log, 'utf8')}`);
  } finally {
    await output.close();
    await rm(folder, { recursive: true });
  }
}
