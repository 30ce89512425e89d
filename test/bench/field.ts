import type { DataSet } from './data.ts';
import { median } from './measure.ts';
import type { Store, Traffic } from './stores.ts';
import type { Job, Tool } from './tools.ts';

export interface Measurement {
  tool: string;
  job: Job;
  seconds: number;
  /** Of the client: seconds, MiB. */
  cpu: number;
  memory: number;
  traffic: Traffic | null;
  /** Seconds, MiB, seconds. */
  service: { cpu: number; memory: number; delay: number } | null;
}

/** One data set on one store. */
export interface Field {
  set: DataSet;
  bytes: number;
  store: Store;
  measurements: Measurement[];
}

export interface Spread {
  low: number;
  median: number;
  high: number;
  rounds: number;
}

export function spreadOf(field: Field, tool: string, job: Job): Spread | null {
  const seconds = field.measurements
    .filter((one) => one.tool === tool && one.job === job)
    .map(({ seconds }) => seconds);
  if (seconds.length === 0) return null;
  return { low: Math.min(...seconds), median: median(seconds), high: Math.max(...seconds), rounds: seconds.length };
}

/** The tools of a field, in the order in which they are listed everywhere. */
export function toolsOf(field: Field, tools: readonly Tool[]): string[] {
  return tools.map(({ name }) => name).filter((name) => field.measurements.some(({ tool }) => tool === name));
}
