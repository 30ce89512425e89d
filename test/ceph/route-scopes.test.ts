import { routeScopesSuite } from '../suites/http/route-scopes.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('route-scopes', routeScopesSuite);
