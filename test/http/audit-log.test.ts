import { auditLogSuite } from '../suites/http/audit-log.ts';
import { startTestService } from '../support/service.ts';

auditLogSuite(startTestService);
