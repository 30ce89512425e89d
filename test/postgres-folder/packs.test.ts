import { packsSuite } from '../suites/http/packs.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('packs', packsSuite);
