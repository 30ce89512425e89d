import type { Route } from '../route.ts';
import { archiveRoutes } from './archives.ts';
import { fileDeletionRoutes } from './file-deletions.ts';
import { fileRoutes } from './files.ts';
import { findRoutes } from './find.ts';
import { fixityRoutes } from './fixity.ts';
import { keyRoutes } from './keys.ts';
import { logRoutes } from './log.ts';
import { operationRoutes } from './operations.ts';
import { packageRoutes } from './packages.ts';
import { quotaRoutes } from './quota.ts';
import { repairRoutes } from './repairs.ts';
import { retentionRoutes } from './retention.ts';
import { shareRoutes } from './shares.ts';
import { signedRoutes } from './signed.ts';
import { sweepRoutes } from './sweeps.ts';
import { tokenRoutes } from './tokens.ts';
import { uploadRoutes } from './uploads.ts';
import { webhookRoutes } from './webhooks.ts';

/** Every operation of the service; the router, /openapi.json and the tests of docs/api.md all read this. */
export const ROUTES: readonly Route[] = [
  ...packageRoutes,
  ...fileRoutes,
  ...archiveRoutes,
  ...fileDeletionRoutes,
  ...findRoutes,
  ...uploadRoutes,
  ...retentionRoutes,
  ...keyRoutes,
  ...logRoutes,
  ...tokenRoutes,
  ...shareRoutes,
  ...webhookRoutes,
  ...operationRoutes,
  ...quotaRoutes,
  ...sweepRoutes,
  ...fixityRoutes,
  ...repairRoutes,
  ...signedRoutes,
];
