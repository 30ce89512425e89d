import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { mayMount } from './small-disk.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Whether this user may do what a container engine does. */
export function mayContain(): boolean {
  return process.getuid?.() === 0 && mayMount() && spawnSync('setpriv', ['--version']).status === 0;
}

/**
 * Programs as a container runs them: as another user, without capabilities, on a root that is read-only, with folders of their own. What
 * that user may not read of this machine (a checkout below /root) is mounted where it may.
 */
export class Container {
  readonly folder: string;
  readonly #script: string;

  private constructor(folder: string, script: string) {
    this.folder = folder;
    this.#script = script;
  }

  /** @param folder with the built bundle (built.ts) @param writable names of folders in it that may be written to */
  static async make(folder: string, uid: number, writable: readonly string[]): Promise<Container> {
    await chmod(folder, 0o755);
    for (const name of writable) await mkdir(join(folder, name));
    for (const name of writable) await chmod(join(folder, name), 0o777);
    await writeFile(join(folder, 'node'), '');
    const sqlite = join(folder, 'node_modules/better-sqlite3');
    await rm(sqlite);
    await mkdir(sqlite);
    const steps = [
      'set -e',
      `mount --bind "${process.execPath}" "${folder}/node"`,
      `mount --bind "${ROOT}/node_modules/better-sqlite3" "${sqlite}"`,
      ...writable.map((name) => `mount --bind "${folder}/${name}" "${folder}/${name}"`),
      'for mount in $(findmnt -rno TARGET); do case "$mount" in',
      ...writable.map((name) => `"${folder}/${name}") ;;`),
      '/|/tmp|/tmp/*|/dev/shm|/var|/var/*|/home|/root|/opt|/srv) mount -o remount,bind,ro "$mount" ;;',
      'esac; done',
      `cd "${folder}"`,
      `exec setpriv --reuid=${uid} --regid=${uid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`,
    ];
    return new Container(folder, steps.join('\n'));
  }

  /** Node with these arguments. */
  spawn(args: readonly string[], env: Record<string, string>): ChildProcess {
    const all = [
      '--mount',
      '--propagation',
      'private',
      'bash',
      '-c',
      this.#script,
      'bash',
      join(this.folder, 'node'),
      ...args,
    ];
    return spawn('unshare', all, { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}
