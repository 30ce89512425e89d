import { lostObjectsSuite } from '../suites/http/lost-objects.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('lost objects', lostObjectsSuite);
