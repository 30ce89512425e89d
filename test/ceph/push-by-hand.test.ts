import { pushByHandSuite } from '../suites/http/push-by-hand.ts';
import { onCeph } from '../support/ceph-service.ts';
import { HAND_CLIENTS } from '../support/hand-tools.ts';
import { required } from '../support/required.ts';

if (await required('Pushing by hand to Ceph', HAND_CLIENTS)) await onCeph('push-by-hand', pushByHandSuite);
