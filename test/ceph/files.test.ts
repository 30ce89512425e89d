import { filesSuite } from '../suites/http/files.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('files', filesSuite);
