import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as PrometheusRegistry } from 'prom-client';
import type { Meters } from '../usecases/services.ts';
import { type Totals, totalsGauges } from './totals-gauges.ts';

/** What /metrics tells, beside the process's own (CPU, memory, event-loop delay). */
export interface Metrics extends Meters {
  observe(operation: string, method: string, status: number, seconds: number): void;
  received(bytes: number): void;
  /** A request came, and its answer has ended. */
  began(): void;
  ended(): void;
  /** Requests that came and have not ended. */
  underWay(): number;
  text(): Promise<string>;
  contentType: string;
  close(): void;
}

/** @param totals of all objects; reads them all, so it is asked for once in a while */
export function openMetrics(totals: () => Promise<Totals>): Metrics {
  const register = new PrometheusRegistry();
  collectDefaultMetrics({ register });
  const requests = new Histogram({
    name: 'artifact_store_request_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['operation', 'method', 'status'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [register],
  });
  const bytes = new Counter({
    name: 'artifact_store_received_bytes_total',
    help: 'Bytes received through the service itself',
    registers: [register],
  });
  const damaged = new Counter({
    name: 'artifact_store_damaged_total',
    help: 'Reads that found stored bytes changed or missing',
    registers: [register],
  });
  const ofSweeps = (name: string, help: string) =>
    new Counter({ name: `artifact_store_${name}_total`, help, registers: [register] });
  const sweeps = ofSweeps('sweeps', 'Sweeps that ended');
  const freedObjects = ofSweeps('freed_objects', 'Objects that sweeps removed');
  const freedBytes = ofSweeps('freed_bytes', 'Bytes in storage that sweeps freed');
  const rewrittenBytes = ofSweeps('rewritten_bytes', 'Bytes in storage that sweeps wrote in the place of sparse packs');
  const sweepRequests = ofSweeps('sweep_requests', 'Requests to storage that sweeps made');
  const checkedObjects = new Counter({
    name: 'artifact_store_fixity_checked_objects_total',
    help: 'Objects that fixity checks read, by result: good, damaged, missing, unread (no verdict)',
    labelNames: ['result'],
    registers: [register],
  });
  const checkedBytes = new Counter({
    name: 'artifact_store_fixity_checked_bytes_total',
    help: 'Bytes in storage of those objects',
    registers: [register],
  });
  const inFlight = new Gauge({
    name: 'artifact_store_requests_under_way',
    help: 'Requests whose answers have not ended',
    registers: [register],
  });
  let underWay = 0;
  const refreshTotals = totalsGauges(register, totals);
  return {
    damaged: () => damaged.inc(),
    swept({ freed, rewritten, requests }) {
      sweeps.inc();
      freedObjects.inc(freed.count);
      freedBytes.inc(freed.bytes);
      rewrittenBytes.inc(rewritten.bytes);
      sweepRequests.inc(requests);
    },
    checked(result, size) {
      checkedObjects.inc({ result });
      checkedBytes.inc(size);
    },
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
    received: (count) => bytes.inc(count),
    async text() {
      await refreshTotals();
      return register.metrics();
    },
    contentType: register.contentType,
    close: () => register.clear(),
  };
}
