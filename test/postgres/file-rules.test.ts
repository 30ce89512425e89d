import { fileRulesSuite } from '../suites/http/file-rules.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('file-rules', fileRulesSuite);
