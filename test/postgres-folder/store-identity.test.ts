import { storeIdentitySuite } from '../suites/http/store-identity.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('store identity', storeIdentitySuite);
