import { uploadsSuite } from '../suites/http/uploads.ts';
import { onCeph } from '../support/ceph-service.ts';

/** S3 takes no smaller part, but the last. */
const PART = 5 * 1024 ** 2;

await onCeph('uploads', (start) => uploadsSuite(start, PART));
