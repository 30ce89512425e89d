import { fileRulesSuite } from '../suites/http/file-rules.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('file-rules', fileRulesSuite);
