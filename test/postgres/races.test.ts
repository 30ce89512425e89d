import { racesSuite } from '../suites/http/races.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('races', racesSuite);
