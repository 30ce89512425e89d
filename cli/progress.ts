import { formatBytes, formatCount, formatSeconds } from './format.ts';

/** How far the work is. Totals may grow while files are still being found. */
export interface ProgressReport {
  /** What is being done: `unpacking`, `checking`, `hashing`, `sending`; when every byte was sent `committing`, `verifying`, `finalizing`. */
  phase: string;
  files: number;
  totalFiles: number;
  bytes: number;
  /** Of those bytes, the ones that need not move now: an earlier run moved them. Default 0. */
  there?: number;
  totalBytes: number;
}

export interface ProgressView {
  /** Wipes the bar, so that a line can be written; it comes back by itself. */
  clear(): void;
  end(): void;
}

const BAR_WIDTH = 24;

/** Shows the report on the stream every so often until `end`; null shows nothing. */
export function startProgress(
  stream: NodeJS.WriteStream | null,
  report: () => ProgressReport,
  intervalMs: number,
): ProgressView {
  if (stream === null) return { clear: () => {}, end: () => {} };
  // Rates are those of what is being done now.
  let [phase, since] = ['', performance.now()];
  let shownAt = since;
  const clear = (): void => {
    if (stream.isTTY) stream.write('\r\x1b[K');
  };
  const show = (): void => {
    const now = report();
    if (now.phase !== phase) [phase, since] = [now.phase, shownAt];
    shownAt = performance.now();
    const line = describeProgress(now, (shownAt - since) / 1_000);
    if (stream.isTTY) stream.write(`\r\x1b[K${line.slice(0, Math.max(20, stream.columns - 1))}`);
    else stream.write(`${line}\n`);
  };
  const timer = setInterval(show, intervalMs);
  timer.unref();
  return {
    clear,
    end: () => {
      clearInterval(timer);
      clear();
    },
  };
}

/**
 * `sending ████░░░░  812/1,000 files  75 MB of 90 MB  31 MB/s  0.5 s left`; when no more bytes move
 * `committing ████████  812/1,000 files  90 MB  4.2 s`.
 * @param seconds since this phase began
 */
export function describeProgress(report: ProgressReport, seconds: number): string {
  const { phase, files, totalFiles, bytes, there = 0, totalBytes } = report;
  const done = totalBytes > 0 ? bytes / totalBytes : totalFiles > 0 ? files / totalFiles : 0;
  const filled = Math.round(Math.min(1, done) * BAR_WIDTH);
  const bar = `${phase} ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const counted = `${bar}  ${formatCount(files)}/${formatCount(totalFiles)} files`;
  if (bytes >= totalBytes) return `${counted}  ${formatBytes(totalBytes)}  ${formatSeconds(seconds)}`;
  const rate = seconds > 0 ? Math.max(0, bytes - there) / seconds : 0;
  return [
    counted,
    `  ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    rate > 0 ? `  ${formatBytes(rate)}/s` : '',
    rate > 0 && seconds > 1 ? `  ${formatSeconds((totalBytes - bytes) / rate)} left` : '',
  ].join('');
}
