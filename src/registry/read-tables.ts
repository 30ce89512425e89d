import type { ApiTokenTable } from './api-tokens.ts';
import type { AuditTable } from './audit.ts';
import type { BlobTable } from './blobs.ts';
import type { DamagedObjects } from './damaged-objects.ts';
import type { FileTable } from './files.ts';
import type { FixityRunTable } from './fixity-runs.ts';
import type { LogTable } from './log.ts';
import type { ObjectCheckTable } from './object-checks.ts';
import type { ObjectLockTable } from './object-locks.ts';
import type { PackageTable } from './packages.ts';
import type { RebuildTable } from './rebuilds.ts';
import type { RetentionTable } from './retention.ts';
import type { ShareTable } from './shares.ts';
import type { SigningKeyTable } from './signing-keys.ts';
import type { StoreTable } from './stores.ts';
import type { SweepTable } from './sweeps.ts';
import type { UploadTable } from './uploads.ts';
import type { UsageTable } from './usage.ts';
import type { WebhookDeliveryTable } from './webhook-deliveries.ts';
import type { WebhookTable } from './webhooks.ts';

/** What of every table only reads: all that there is outside of a transaction, and a part of what there is in one. */
export interface ReadTables {
  packages: Pick<
    PackageTable,
    | 'any'
    | 'get'
    | 'findCurrent'
    | 'findOpen'
    | 'findOpenRevision'
    | 'list'
    | 'listSizes'
    | 'listEligible'
    | 'listSealing'
    | 'listDeletedSealed'
    | 'listUnattested'
    | 'sealedAmong'
    | 'totals'
  >;
  files: Pick<
    FileTable,
    | 'get'
    | 'page'
    | 'lastKey'
    | 'atPaths'
    | 'unproven'
    | 'missing'
    | 'totals'
    | 'locate'
    | 'provableBy'
    | 'notMissing'
    | 'objectsOfPage'
    | 'deletedPage'
    | 'missingPage'
    | 'tombstone'
    | 'pathsDeletedBy'
    | 'deletedBytes'
    | 'listWithExpired'
    | 'findConflict'
    | 'find'
    | 'folder'
  >;
  blobs: Pick<
    BlobTable,
    | 'locate'
    | 'getObject'
    | 'getObjects'
    | 'getObjectByKey'
    | 'frames'
    | 'totals'
    | 'storedSize'
    | 'whollyReadable'
    | 'countLost'
    | 'sample'
    | 'listUnneeded'
    | 'listDue'
    | 'listPacks'
    | 'liveMembers'
    | 'producersOf'
    | 'listRemoving'
    | 'countCondemned'
    | 'keysAfter'
    | 'statesByKey'
    | 'neededAmong'
    | 'wantedAmong'
    | 'lostAndNeeded'
    | 'anyLostIsNeeded'
  >;
  uploads: Pick<
    UploadTable,
    | 'parts'
    | 'findPart'
    | 'members'
    | 'frames'
    | 'get'
    | 'getMany'
    | 'findLive'
    | 'listUnended'
    | 'countUnended'
    | 'countLive'
    | 'listOfNone'
    | 'listExpired'
    | 'listAborting'
    | 'listStalled'
    | 'listDropping'
    | 'listDroppingLater'
  >;
  retention: Pick<
    RetentionTable,
    | 'extendedUntil'
    | 'unwritten'
    | 'eventsAmong'
    | 'listUnwritten'
    | 'withoutReceipt'
    | 'listWithoutReceipt'
    | 'listClasses'
    | 'getClass'
    | 'events'
    | 'getHold'
    | 'holds'
  >;
  audit: Pick<AuditTable, 'page' | 'find' | 'at' | 'next' | 'lastComplete'>;
  stores: Pick<StoreTable, 'getId' | 'getReconciledAt'>;
  sweeps: Pick<SweepTable, 'get' | 'list' | 'lastDone'>;
  checks: Pick<
    ObjectCheckTable,
    'nextTurn' | 'page' | 'getAmong' | 'lookedAt' | 'places' | 'overdue' | 'oldestSeen' | 'oldestSeenExactly'
  >;
  damaged: DamagedObjects;
  fixityRuns: Pick<FixityRunTable, 'get' | 'list'>;
  rebuilds: Pick<RebuildTable, 'get' | 'listMissing' | 'listUnsized' | 'listSealed'>;
  locks: Pick<
    ObjectLockTable,
    | 'listPackages'
    | 'getPackage'
    | 'listOfPackage'
    | 'listDecisions'
    | 'listMarked'
    | 'sample'
    | 'lastNumber'
    | 'countBehind'
    | 'countKept'
  >;
  signingKeys: Pick<SigningKeyTable, 'list' | 'get'>;
  log: Pick<
    LogTable,
    'head' | 'tiles' | 'seqsOf' | 'placeOf' | 'newest' | 'newestWritten' | 'newestStamped' | 'checkpoint' | 'gaps'
  >;
  apiTokens: Pick<ApiTokenTable, 'any' | 'get' | 'page'>;
  shares: Pick<ShareTable, 'get' | 'page'>;
  usage: Pick<UsageTable, 'get' | 'list' | 'counted'>;
  webhooks: Pick<WebhookTable, 'any' | 'get' | 'list' | 'listDue' | 'leased' | 'oldestUnsent'>;
  deliveries: Pick<WebhookDeliveryTable, 'due' | 'countWaiting' | 'waitingStreams' | 'counts' | 'page'>;
  /** The database's time, ms: leases, expiry and ids go by it, never by a replica's clock. */
  now(): Promise<number>;
}
