import { archivesSuite } from '../suites/http/archives.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('archives', archivesSuite);
