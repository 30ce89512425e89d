import { auditLogSuite } from '../suites/http/audit-log.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('audit log', auditLogSuite);
