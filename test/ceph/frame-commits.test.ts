import { frameCommitsSuite } from '../suites/http/frame-commits.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('frame-commits', frameCommitsSuite);
