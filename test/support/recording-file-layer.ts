import { type FileLayer, type NewFile, realFileLayer } from '../../src/blobs/file-layer.ts';

export type EffectName =
  | 'create'
  | 'write'
  | 'chmod'
  | 'sync'
  | 'close'
  | 'open'
  | 'link'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'syncDirectory'
  | 'removeTree';

/** Something that was about to happen to a file; `to` is the new name of `link` and `rename`. */
export interface Effect {
  name: EffectName;
  path: string;
  to?: string;
}

export interface RecordingFileLayer {
  files: FileLayer;
  /** In the order in which they began. */
  effects: Effect[];
}

/**
 * The real file system, noting every effect before it happens. @param before may throw, and the effect does not happen;
 * or end the process, at the n-th effect
 */
export function recordingFileLayer(
  before: (effect: Effect, index: number) => void | Promise<void> = () => {},
): RecordingFileLayer {
  const effects: Effect[] = [];
  const note = async (effect: Effect): Promise<void> => {
    const index = effects.push(effect) - 1;
    await before(effect, index);
  };
  const noted =
    <Result>(name: EffectName, work: (path: string) => Promise<Result>) =>
    async (path: string): Promise<Result> => {
      await note({ name, path });
      return work(path);
    };
  const moved =
    (name: EffectName, work: (from: string, to: string) => Promise<void>) =>
    async (path: string, to: string): Promise<void> => {
      await note({ name, path, to });
      return work(path, to);
    };
  const newFile = (path: string, file: NewFile): NewFile => ({
    async write(bytes) {
      await note({ name: 'write', path });
      await file.write(bytes);
    },
    async chmod(mode) {
      await note({ name: 'chmod', path });
      await file.chmod(mode);
    },
    async sync() {
      await note({ name: 'sync', path });
      await file.sync();
    },
    async close() {
      // What goes wrong at a close must not leave the descriptor open.
      const closing = file.close();
      await note({ name: 'close', path }).finally(() => closing);
    },
  });
  const real = realFileLayer;
  return {
    effects,
    files: {
      ...real,
      create: async (path) => {
        await note({ name: 'create', path });
        return newFile(path, await real.create(path));
      },
      open: noted('open', real.open),
      link: moved('link', real.link),
      rename: moved('rename', real.rename),
      unlink: noted('unlink', real.unlink),
      mkdir: noted('mkdir', real.mkdir),
      rmdir: noted('rmdir', real.rmdir),
      syncDirectory: noted('syncDirectory', real.syncDirectory),
      removeTree: noted('removeTree', real.removeTree),
    },
  };
}

/** An error as the file system gives it. */
export function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}
