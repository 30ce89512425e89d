import { uploadsSuite } from '../suites/http/uploads.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('uploads', uploadsSuite);
