import { fixitySuite } from '../suites/http/fixity.ts';
import { onCeph } from '../support/ceph-service.ts';
import { usualOrLong } from '../support/long.ts';

await onCeph('fixity', (start) => fixitySuite(start, { flips: usualOrLong(1, 200) }));
