import { generatedRequestsSuite } from '../suites/http/generated-requests.ts';
import { onPostgres } from '../support/postgres-service.ts';

/** In the long run, and when it is asked for. */
await onPostgres('generated-requests', (start) => generatedRequestsSuite(start, 100_000));
