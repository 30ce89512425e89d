import type { Scope } from '../core/scopes.ts';

/**
 * Who may call an operation. Scopes: a bearer with one of them. `token`: any bearer. `signed`: whoever has the signed URL. `open`:
 * anybody; the answer may say more to a bearer.
 */
export type RouteAccess = readonly Scope[] | 'token' | 'signed' | 'open';

const READ = ['packages:read'] as const;
const WRITE = ['packages:write'] as const;
/** What whoever makes a package must see of it. */
const READ_OR_WRITE = ['packages:read', 'packages:write'] as const;
const RETAIN = ['retention:write'] as const;
const DELETE = ['packages:delete'] as const;
const SHARE = ['packages:share'] as const;
const AUDIT = ['audit:read'] as const;
const SEND = ['webhooks:write'] as const;
const OPERATE = ['operator'] as const;
/** Uploads of packages are for those who write them, uploads of repairs for operators: access.ts tells them apart. */
const UPLOAD = ['packages:write', 'operator'] as const;

/**
 * The one table of which scope each operation needs, by its id: the router asks it, /openapi.json and docs/api.md show it, and a test
 * tries each line. A limit to producers is not here: it decides which packages exist for a caller.
 */
export const ROUTE_SCOPES = {
  createPackage: WRITE,
  listPackages: READ,
  getPackage: READ_OR_WRITE,
  deletePackage: DELETE,
  finalizePackage: WRITE,
  failPackage: WRITE,
  linkPackage: READ,
  registerFiles: WRITE,
  listFiles: READ_OR_WRITE,
  putFile: WRITE,
  getFile: READ,
  getManifest: READ,
  getArchive: READ,
  // Of a package that is being made, and of a finalized one: remove-file.ts tells them apart.
  removeFile: ['packages:write', 'packages:delete'],
  deleteFiles: DELETE,
  findFiles: READ,
  planUploads: WRITE,
  getUpload: UPLOAD,
  signUploadParts: UPLOAD,
  commitUpload: UPLOAD,
  abortUpload: UPLOAD,
  planDownloads: READ,
  listRetentionClasses: 'token',
  listEligible: READ,
  getRetention: READ,
  extendRetention: RETAIN,
  placeHold: RETAIN,
  releaseHold: RETAIN,
  listAudit: AUDIT,
  getAttestation: READ,
  getReceipt: READ,
  listKeys: 'token',
  rotateKey: OPERATE,
  getLog: AUDIT,
  getLogCheckpoint: AUDIT,
  getLogTimestamp: AUDIT,
  getLogProof: AUDIT,
  getLogConsistency: AUDIT,
  getLogTile: AUDIT,
  createToken: OPERATE,
  listTokens: OPERATE,
  revokeToken: OPERATE,
  createShare: SHARE,
  listShares: SHARE,
  revokeShare: SHARE,
  createWebhook: SEND,
  listWebhooks: SEND,
  getWebhook: SEND,
  removeWebhook: SEND,
  testWebhook: SEND,
  rotateWebhookSecret: SEND,
  listDeliveries: SEND,
  replayWebhook: SEND,
  getLimits: 'token',
  listQuotas: READ,
  getHealth: 'open',
  getReadiness: 'open',
  getDiagnosis: OPERATE,
  startSweep: OPERATE,
  listSweeps: OPERATE,
  getSweep: OPERATE,
  getFixity: OPERATE,
  startFixity: OPERATE,
  getFixityRun: OPERATE,
  planRepairs: OPERATE,
  listRepairs: OPERATE,
  repairManifests: OPERATE,
  putPart: 'signed',
  getObject: 'signed',
} as const satisfies Record<string, RouteAccess>;

export type OperationId = keyof typeof ROUTE_SCOPES;

/** Of what is open as long as no tokens are in use beside the admin token. `whole`: not for those whose token is limited to producers. */
export interface ShownTo {
  access: RouteAccess;
  whole: boolean;
}

/** Pages that are no operations. */
export const PAGE_SCOPES = {
  // What any copy of this software says, and nothing of this one.
  '/': { access: 'open', whole: false },
  // Whoever sees an error may read what to do: also who has no token yet.
  '/docs/errors': { access: 'open', whole: false },
  '/openapi.json': { access: 'token', whole: false },
  '/docs': { access: 'token', whole: false },
  // It counts what every producer has.
  '/metrics': { access: ['operator', 'audit:read'], whole: true },
} as const satisfies Record<string, ShownTo>;

/** Pages for people, by the id of the page. `token`: whoever is signed in. */
export const UI_SCOPES = {
  showLogin: 'open',
  signIn: 'open',
  signOut: 'open',
  showIcon: 'open',
  browsePackages: READ,
  showPackage: READ,
  browseFiles: READ,
  showFile: READ,
  saveFile: READ,
  saveManifest: READ,
  saveAttestation: READ,
  saveArchive: READ,
  showFound: READ,
  makeShareLink: SHARE,
  endShareLink: SHARE,
  showRun: READ,
  compareRevisions: READ,
  showHistory: AUDIT,
  showOperator: OPERATE,
  // Whoever has the link, or the address that a page gave.
  showShared: 'open',
  showSharedFile: 'open',
  getEvidence: 'open',
  showEvidenceStyle: 'open',
} as const satisfies Record<string, RouteAccess>;

export type UiId = keyof typeof UI_SCOPES;

/** The details of /readyz: free bytes are of the whole store, but say nothing of a producer. */
export const READINESS_DETAILS: ShownTo = { access: 'token', whole: false };

/** In the words of docs. */
export function accessText(access: RouteAccess): string {
  if (access === 'open') return 'anybody';
  if (access === 'signed') return 'the signed URL';
  if (access === 'token') return 'any token';
  return access.join(' or ');
}
