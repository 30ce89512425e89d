import type { ProbeReport } from './probe-report.ts';

/** When a backend is looked at again, ms. */
export interface ProbeIntervals {
  /** The gateway behind an endpoint may be another one tomorrow. */
  regular: number;
  /** After a probe that could not be carried out: whoever corrects the problem sees the result soon. */
  afterProblem: number;
  /** A probe that is requested within this time of the last requested one gets that one's report. */
  onDemand: number;
}

export const PROBE_INTERVALS: ProbeIntervals = { regular: 15 * 60_000, afterProblem: 60_000, onDemand: 60_000 };

/** The probe of one backend, again and again, never two at once. */
export interface Probing {
  /** What the last one found; null before the first. */
  report(): ProbeReport | null;
  /** Settled when the first one has ended; never rejected. */
  first: Promise<void>;
  /** Settled when a probe has ended that began after this call, or shortly before it for another caller. */
  again(): Promise<void>;
  /** Ends a probe that is under way, after it has cleaned up. */
  close(): Promise<void>;
}

/** The first probe begins at once. @param probe never throws @param tell is given every report */
export function startProbing(
  probe: (signal: AbortSignal) => Promise<ProbeReport>,
  tell: (report: ProbeReport) => void,
  intervals: ProbeIntervals = PROBE_INTERVALS,
): Probing {
  const ending = new AbortController();
  let report: ProbeReport | null = null;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let asked: { at: number; done: Promise<void> } | null = null;

  const run = async (): Promise<void> => {
    clearTimeout(timer);
    if (ending.signal.aborted) return;
    const found = await probe(ending.signal);
    if (ending.signal.aborted) return;
    report = found;
    tell(found);
    timer = setTimeout(next, found.problem === null ? intervals.regular : intervals.afterProblem);
  };
  /** One after the other. */
  const next = (): Promise<void> => {
    running = running.then(run);
    return running;
  };

  return {
    report: () => report,
    first: next(),
    again() {
      const now = performance.now();
      if (asked === null || now - asked.at >= intervals.onDemand) asked = { at: now, done: next() };
      return asked.done;
    },
    async close() {
      ending.abort(new Error('the service is stopping'));
      clearTimeout(timer);
      await running;
    },
  };
}
