import { sweepSuite } from '../suites/http/sweep.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('sweep', sweepSuite);
