import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { type Measured, measure, run } from './measure.ts';
import { BIN, type ServiceProcess, startServiceProcess } from './service-process.ts';
import type { Area } from './stores.ts';

/** The directory; again, unchanged; once more with one file of a hundred changed; and back. */
export const JOBS = ['push', 'again', 'changed', 'pull'] as const;
export type Job = (typeof JOBS)[number];

/** A program that keeps a directory somewhere and gives it back. */
export interface Tool {
  name: string;
  stores: ReadonlyArray<Area['kind']>;
  /**
   * By data set: what is measured in each round. Slow tools are measured on few, and less often: all first rounds together have
   * to end within ten minutes on a slow machine.
   */
  rounds: Partial<Record<string, readonly Job[][]>>;
  /** What it does besides keeping bytes, or does not. */
  besides: string;
  /** @throws when it is not on this machine */
  version(): Promise<string>;
  open(area: Area): Promise<Session>;
}

export interface Session {
  /** The directory, once more, into the same place. */
  push(source: string): Promise<Measured>;
  /** Null: it is not measured. */
  pull: ((into: string) => Promise<Measured>) | null;
  service: ServiceProcess | null;
  close(): Promise<void>;
}

const ALL: Job[] = [...JOBS];
const PUSH: Job[] = ['push'];
/** Not in the first round. */
const LATER: Job[] = [];

async function firstLine(command: string, args: string[]): Promise<string> {
  const { code, out } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return /\d+\.[\d.]*\d/.exec(out)?.[0] ?? out.trim();
}

export const OURS: Tool['rounds'] = {
  small: [ALL, ALL, ALL],
  run: [ALL, ALL, ALL],
  large: [ALL, PUSH, PUSH],
  tiny: [ALL],
};

/** @param database where the registry is; null: SQLite in the area's folder */
export function ourselves(name: string, rounds: Tool['rounds'], database: (() => Promise<string>) | null): Tool {
  return {
    name,
    stores: database ? ['ceph'] : ['ceph', 'folder'],
    rounds,
    besides: 'every byte hashed by client and by service or storage; packages with manifest, retention, audit events',
    version: () => firstLine(process.execPath, [BIN, '--version']),
    async open(area) {
      const service = await startServiceProcess({
        ARTIFACT_STORE_DATA_DIR: join(area.dir, 'data'),
        ...(database ? { ARTIFACT_STORE_DATABASE_URL: await database() } : {}),
        ...(area.kind === 'ceph' ? s3Variables(area) : {}),
      });
      const env = { XDG_CACHE_HOME: join(area.dir, 'cache'), ARTIFACT_STORE_URL: service.url };
      let newest = '';
      return {
        async push(source) {
          const measured = await measure(process.execPath, [BIN, 'push', source, '--producer', 'bench', '--json'], {
            env,
          });
          newest = JSON.parse(measured.out).package_id;
          return measured;
        },
        pull: (into) => measure(process.execPath, [BIN, 'pull', newest, into, '--json'], { env }),
        service,
        close: () => service.stop(),
      };
    },
  };
}

export function s3Variables({ endpoint, bucket, keys, uploadKeys }: Area): Record<string, string> {
  const server = { endpoint, region: 'us-east-1', credentials: keys };
  return { ...s3Env(server, bucket), ...uploadKeyEnv({ uploadCredentials: uploadKeys }) };
}

const restic: Tool = {
  name: 'restic',
  stores: ['ceph', 'folder'],
  rounds: { small: [ALL, ALL, ALL], run: [ALL, ALL, ALL], large: [LATER, ALL], tiny: [PUSH, ALL] },
  besides: 'encrypts, cuts into chunks by content, compresses; not read back',
  version: () => firstLine('restic', ['version']),
  async open(area) {
    const env = {
      RESTIC_REPOSITORY: area.kind === 'ceph' ? `s3:${area.endpoint}/${area.bucket}` : join(area.dir, 'repository'),
      RESTIC_PASSWORD: 'bench',
      RESTIC_CACHE_DIR: join(area.dir, 'cache'),
      AWS_ACCESS_KEY_ID: area.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: area.keys.secretAccessKey,
    };
    await measure('restic', ['init', '--quiet'], { env });
    return {
      push: (source) => measure('restic', ['backup', '--quiet', '.'], { env, cwd: source }),
      pull: (into) => measure('restic', ['restore', 'latest', '--quiet', '--target', into], { env }),
      service: null,
      close: async () => {},
    };
  },
};

const borg: Tool = {
  name: 'borg',
  stores: ['folder'],
  rounds: { small: [ALL, ALL, ALL], run: [ALL, ALL, ALL], large: [PUSH, ALL], tiny: [PUSH, ALL] },
  besides: 'cuts into chunks by content, compresses (lz4); encryption off; not read back',
  version: () => firstLine('borg', ['--version']),
  async open(area) {
    const env = {
      BORG_REPO: join(area.dir, 'repository'),
      BORG_BASE_DIR: join(area.dir, 'base'),
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    };
    await measure('borg', ['init', '--encryption', 'none'], { env });
    let archives = 0;
    return {
      push(source) {
        archives += 1;
        return measure('borg', ['create', `::${archives}`, '.'], { env, cwd: source });
      },
      async pull(into) {
        await mkdir(into);
        return measure('borg', ['extract', `::${archives}`], { env, cwd: into });
      },
      service: null,
      close: async () => {},
    };
  },
};

function rcloneVariables({ endpoint, keys }: Area): Record<string, string> {
  return {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_STORE_TYPE: 's3',
    RCLONE_CONFIG_STORE_PROVIDER: 'Ceph',
    RCLONE_CONFIG_STORE_ENDPOINT: endpoint,
    RCLONE_CONFIG_STORE_ACCESS_KEY_ID: keys.accessKeyId,
    RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: keys.secretAccessKey,
  };
}

const rclone: Tool = {
  name: 'rclone',
  stores: ['ceph'],
  rounds: { small: [PUSH, ALL] },
  besides: 'one object a file, 32 at once, MD5 sent along; not read back',
  version: () => firstLine('rclone', ['version']),
  async open(area) {
    const env = rcloneVariables(area);
    const flags = ['--transfers', '32', '--checkers', '32', '--quiet'];
    return {
      push: (source) => measure('rclone', ['copy', ...flags, source, `store:${area.bucket}`], { env }),
      pull: (into) => measure('rclone', ['copy', ...flags, `store:${area.bucket}`, into], { env }),
      service: null,
      close: async () => {},
    };
  },
};

const tarRcat: Tool = {
  name: 'tar | rclone rcat',
  stores: ['ceph'],
  rounds: { small: [ALL, ALL, ALL], run: [ALL, ALL, ALL], large: [LATER, ALL], tiny: [PUSH, ALL] },
  besides: 'one object for everything, no file by itself; all of it again each time; not read back',
  version: async () => `${await firstLine('tar', ['--version'])} | ${await firstLine('rclone', ['version'])}`,
  async open(area) {
    const env = rcloneVariables(area);
    const shell = (text: string): Promise<Measured> => measure('bash', ['-o', 'pipefail', '-c', text], { env });
    const object = `store:${area.bucket}/all.tar`;
    return {
      push: (source) => shell(`tar -cf - -C '${source}' . | rclone --quiet rcat '${object}'`),
      pull: (into) => shell(`mkdir '${into}' && rclone --quiet cat '${object}' | tar -xf - -C '${into}'`),
      service: null,
      close: async () => {},
    };
  },
};

const aws: Tool = {
  name: 'aws s3 cp',
  stores: ['ceph'],
  rounds: { small: [LATER, ALL], large: [PUSH, ALL, PUSH] },
  besides: 'one object a file, 32 requests at once, MD5 or CRC sent along; again: aws s3 sync; not read back',
  version: () => firstLine('aws', ['--version']),
  async open(area) {
    const config = join(area.dir, 'aws');
    const env = {
      AWS_CONFIG_FILE: config,
      AWS_ACCESS_KEY_ID: area.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: area.keys.secretAccessKey,
      AWS_DEFAULT_REGION: 'us-east-1',
    };
    await writeFile(config, '[default]\ns3 =\n  max_concurrent_requests = 32\n');
    const s3 = (...args: string[]): Promise<Measured> =>
      measure('aws', ['--endpoint-url', area.endpoint, 's3', ...args, '--only-show-errors'], { env });
    let pushes = 0;
    return {
      push(source) {
        pushes += 1;
        if (pushes > 1) return s3('sync', source, `s3://${area.bucket}/`);
        return s3('cp', '--recursive', source, `s3://${area.bucket}/`);
      },
      pull: (into) => s3('cp', '--recursive', `s3://${area.bucket}/`, into),
      service: null,
      close: async () => {},
    };
  },
};

const copy: Tool = {
  name: 'cp -r, sync -f',
  stores: ['folder'],
  rounds: { small: [ALL, ALL, ALL], run: [ALL, ALL, ALL], large: [PUSH, ALL, PUSH], tiny: [LATER, ALL] },
  besides: 'nothing is hashed; all of it again each time',
  version: () => firstLine('cp', ['--version']),
  async open(area) {
    const kept = join(area.dir, 'copy');
    const shell = (text: string): Promise<Measured> => measure('bash', ['-e', '-c', text]);
    return {
      push: (source) => shell(`cp -r '${source}/.' '${kept}'; sync -f '${kept}'`),
      pull: (into) => shell(`cp -r '${kept}' '${into}'`),
      service: null,
      close: async () => {},
    };
  },
};

export const PEERS: readonly Tool[] = [restic, rclone, tarRcat, aws, borg, copy];
