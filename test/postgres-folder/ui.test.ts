import { uiSuite } from '../suites/http/ui.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('the pages', uiSuite);
