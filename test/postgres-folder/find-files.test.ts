import { findFilesSuite } from '../suites/http/find-files.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('find files', findFilesSuite);
