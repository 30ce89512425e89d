import { framesSuite } from '../suites/http/frames.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('frames', (start) => framesSuite(start, { runs: 8 }));
