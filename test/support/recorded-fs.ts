import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Loaded before a command (`--import`), in its main thread and in each other one: writes down what is asked of the file system
 * about files below RECORDED_FOLDER, a line each, into RECORDED_CALLS. What is asked is done as ever.
 */
const { RECORDED_FOLDER: folder = '', RECORDED_CALLS: calls = '' } = process.env;
const log = fs.openSync(calls, 'a');
const paths = new Map<number, string>();

function record(call: string, path: unknown): void {
  if (String(path).startsWith(`${folder}/`)) fs.writeSync(log, `${call} ${String(path).slice(folder.length + 1)}\n`);
}

const { openSync, closeSync } = fs;
for (const call of ['lstatSync', 'statSync', 'accessSync'] as const) {
  const real = fs[call] as (...args: unknown[]) => unknown;
  const recorded = (...args: unknown[]): unknown => {
    record(call, args[0]);
    return real(...args);
  };
  Object.assign(fs, { [call]: recorded });
}
for (const call of ['fstatSync', 'readSync'] as const) {
  const real = fs[call] as (...args: unknown[]) => unknown;
  const recorded = (...args: unknown[]): unknown => {
    record(call, paths.get(args[0] as number));
    return real(...args);
  };
  Object.assign(fs, { [call]: recorded });
}
Object.assign(fs, {
  openSync: (...args: Parameters<typeof openSync>): number => {
    record('openSync', args[0]);
    const fd = openSync(...args);
    paths.set(fd, String(args[0]));
    return fd;
  },
  closeSync: (fd: number): void => {
    record('closeSync', paths.get(fd));
    paths.delete(fd);
    closeSync(fd);
  },
});
for (const call of ['lstat', 'stat', 'open', 'readFile'] as const) {
  const real = fs.promises[call] as (...args: unknown[]) => unknown;
  const recorded = (...args: unknown[]): unknown => {
    record(`promises.${call}`, args[0]);
    return real(...args);
  };
  Object.assign(fs.promises, { [call]: recorded });
}
syncBuiltinESMExports();
