import { sweepFaultsSuite } from '../suites/http/sweep-faults.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('faults of a sweep', sweepFaultsSuite);
