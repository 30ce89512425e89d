import type { ProgressReport } from '../progress.ts';
import type { Progress } from './answers.ts';
import type { WatchedOptions } from './types.ts';

const EVERY_MS = 250;

/** Tells a program how far its work is, while it is done and once at its end. */
export async function watched<T>(
  onProgress: WatchedOptions['onProgress'],
  work: (watch: (report: () => ProgressReport) => void) => Promise<T>,
): Promise<T> {
  if (onProgress === undefined) return work(() => {});
  let report: (() => ProgressReport) | null = null;
  const tell = (): void => {
    if (report !== null) onProgress(progressOf(report()));
  };
  const timer = setInterval(tell, EVERY_MS);
  try {
    const done = await work((watching) => {
      report = watching;
    });
    tell();
    return done;
  } finally {
    clearInterval(timer);
  }
}

function progressOf({ phase, files, totalFiles, bytes, totalBytes }: ProgressReport): Progress {
  return { phase, files, totalFiles, bytes, totalBytes };
}
