import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as PrometheusRegistry } from 'prom-client';
import {
  type CallMeter,
  REGISTRY_OPERATIONS,
  type RegistryOperation,
  STORAGE_OPERATIONS,
  type StorageOperation,
} from '../core/call-meter.ts';
import { callMeter } from './call-meters.ts';
import { type Totals, totalsGauges } from './totals-gauges.ts';
import { type WorkMeters, workMeters } from './work-meters.ts';

/** What /metrics tells, beside the process's own (CPU, memory, event-loop delay). */
export interface Metrics {
  /** What use cases and background work count. */
  work: WorkMeters;
  registry: CallMeter<RegistryOperation>;
  storage: CallMeter<StorageOperation>;
  observe(operation: string, method: string, status: number, seconds: number): void;
  received(bytes: number): void;
  sent(bytes: number): void;
  /** A request came, and its answer has ended. */
  began(): void;
  ended(): void;
  /** Requests that came and have not ended. */
  underWay(): number;
  text(): Promise<string>;
  contentType: string;
  close(): void;
}

/** @param totals of what the registry knows; it costs more the more there is, so it is asked for once in a while */
export function openMetrics(totals: () => Promise<Totals>): Metrics {
  const register = new PrometheusRegistry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const requests = new Histogram({
    name: 'artifact_store_request_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['operation', 'method', 'status'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers,
  });
  const received = new Counter({
    name: 'artifact_store_received_bytes_total',
    help: 'Bytes received through the service itself',
    registers,
  });
  const sent = new Counter({
    name: 'artifact_store_sent_bytes_total',
    help: 'Bytes of files, manifests and objects sent through the service itself',
    registers,
  });
  const inFlight = new Gauge({
    name: 'artifact_store_requests_under_way',
    help: 'Requests whose answers have not ended',
    registers,
  });
  let underWay = 0;
  const refreshTotals = totalsGauges(register, totals);
  return {
    work: workMeters(register),
    registry: callMeter(register, {
      name: 'registry',
      asked: 'the registry',
      operations: REGISTRY_OPERATIONS,
      faults: ['unavailable', 'no_space', 'registry_damaged', 'internal'],
    }),
    storage: callMeter(register, {
      name: 'storage',
      asked: 'storage',
      operations: STORAGE_OPERATIONS,
      faults: ['unavailable', 'no_space', 'integrity_failure', 'internal', 'broke_off'],
    }),
    began() {
      underWay += 1;
      inFlight.set(underWay);
    },
    ended() {
      underWay -= 1;
      inFlight.set(underWay);
    },
    underWay: () => underWay,
    observe: (operation, method, status, seconds) =>
      requests.observe({ operation, method, status: String(status) }, seconds),
    received: (count) => received.inc(count),
    sent: (count) => sent.inc(count),
    async text() {
      await refreshTotals();
      return register.metrics();
    },
    contentType: register.contentType,
    close: () => register.clear(),
  };
}
