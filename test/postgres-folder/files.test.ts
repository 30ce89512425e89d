import { filesSuite } from '../suites/http/files.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('files', filesSuite);
