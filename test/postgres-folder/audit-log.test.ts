import { auditLogSuite } from '../suites/http/audit-log.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('audit log', auditLogSuite);
