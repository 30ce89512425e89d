import { formatBytes, formatSeconds } from './format.ts';

/** How far the work is. Totals may grow while files are still being found. */
export interface ProgressReport {
  /** What is being done: `hashing`, `sending`. */
  phase: string;
  files: number;
  totalFiles: number;
  bytes: number;
  totalBytes: number;
}

export interface ProgressView {
  /** Wipes the bar, so that a line can be written; it comes back by itself. */
  clear(): void;
  end(): void;
}

const BAR_INTERVAL_MS = 120;
const LINE_INTERVAL_MS = 3_000;
const BAR_WIDTH = 24;

/** Shows the report on the stream until `end`; null shows nothing. */
export function startProgress(stream: NodeJS.WriteStream | null, report: () => ProgressReport): ProgressView {
  if (stream === null) return { clear: () => {}, end: () => {} };
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1_000;
  const clear = (): void => {
    if (stream.isTTY) stream.write('\r\x1b[K');
  };
  const show = (): void => {
    const line = describeProgress(report(), elapsed());
    if (stream.isTTY) stream.write(`\r\x1b[K${line.slice(0, Math.max(20, stream.columns - 1))}`);
    else stream.write(`${line}\n`);
  };
  const timer = setInterval(show, stream.isTTY ? BAR_INTERVAL_MS : LINE_INTERVAL_MS);
  timer.unref();
  return {
    clear,
    end: () => {
      clearInterval(timer);
      clear();
    },
  };
}

/** `sending ████░░░░  812/1,000 files  75 MB of 90 MB  31 MB/s  0.5 s left` */
export function describeProgress(report: ProgressReport, seconds: number): string {
  const { phase, files, totalFiles, bytes, totalBytes } = report;
  const done = totalBytes > 0 ? bytes / totalBytes : totalFiles > 0 ? files / totalFiles : 0;
  const filled = Math.round(Math.min(1, done) * BAR_WIDTH);
  const rate = seconds > 0 ? bytes / seconds : 0;
  const left = rate > 0 && seconds > 1 ? `  ${formatSeconds((totalBytes - bytes) / rate)} left` : '';
  return [
    `${phase} ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`,
    `  ${files.toLocaleString('en')}/${totalFiles.toLocaleString('en')} files`,
    `  ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    rate > 0 ? `  ${formatBytes(rate)}/s` : '',
    left,
  ].join('');
}
