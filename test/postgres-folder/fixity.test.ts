import { fixitySuite } from '../suites/http/fixity.ts';
import { usualOrLong } from '../support/long.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('fixity', (start) => fixitySuite(start, { flips: usualOrLong(6, 200) }));
