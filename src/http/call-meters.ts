import { Counter, Histogram, type Registry as PrometheusRegistry } from 'prom-client';
import type { CallMeter } from '../core/call-meter.ts';
import { type ErrorCode, isStoreError } from '../core/errors.ts';

/** What an error of the registry or of storage can be; every other 5xx, and what has no code, is `internal`. */
const FAULTS = ['unavailable', 'no_space', 'registry_damaged', 'integrity_failure'] as const satisfies ErrorCode[];
type Fault = (typeof FAULTS)[number] | 'internal' | 'broke_off';

export interface CallMeterOptions<Operation extends string> {
  /** In the names of the metrics. */
  name: string;
  /** Who is asked, for the help texts. */
  asked: string;
  operations: readonly Operation[];
  faults: readonly Fault[];
}

/** A histogram of the time until an answer, whatever it is, and a counter of those that are the fault of who was asked. */
export function callMeter<Operation extends string>(
  register: PrometheusRegistry,
  { name, asked, operations, faults }: CallMeterOptions<Operation>,
): CallMeter<Operation> {
  const seconds = new Histogram({
    name: `artifact_store_${name}_seconds`,
    help: `Time until ${asked} answered, by operation`,
    labelNames: ['operation'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [register],
  });
  const errors = new Counter({
    name: `artifact_store_${name}_errors_total`,
    help: `Operations that failed by a fault of ${asked}, by operation and code; no refusals`,
    labelNames: ['operation', 'code'],
    registers: [register],
  });
  // What begins with its first error has no increase that an alarm could see.
  for (const operation of operations) for (const code of faults) errors.inc({ operation, code }, 0);
  return {
    began(operation) {
      const start = performance.now();
      return (thrown) => {
        seconds.observe({ operation }, (performance.now() - start) / 1_000);
        const code = thrown === undefined ? null : faultOf(thrown);
        if (code !== null) errors.inc({ operation, code });
      };
    },
    brokeOff: (operation) => errors.inc({ operation, code: 'broke_off' }),
  };
}

/** Null: a refusal, which whoever asked has brought about. */
function faultOf(thrown: unknown): Fault | null {
  if (!isStoreError(thrown)) return 'internal';
  if (thrown.status < 500) return null;
  return FAULTS.find((code) => code === thrown.code) ?? 'internal';
}
