import type { LockMode } from '../../core/object-lock.ts';
import type { ProxyEnv } from '../../core/proxy.ts';
import type { DownloadOptions, SignedRequest } from '../blob-store.ts';
import type { Spool } from '../spool.ts';
import type { ProbeReport } from './probe-report.ts';

export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

/** Where the bucket is, and who talks to it. */
export interface S3Options {
  /** Null: AWS, in the region. */
  endpoint: string | null;
  /** What signed URLs name; null: the endpoint. */
  publicEndpoint: string | null;
  region: string;
  bucket: string;
  /** Put before every key; null: none. */
  prefix: string | null;
  forcePathStyle: boolean;
  /** The control plane's key; null: the SDK's default chain. */
  credentials: S3Keys | null;
  /** A write-only key that signs part URLs; null: the control plane's. */
  uploadCredentials: S3Keys | null;
  /** How objects are locked; left out: they are not. */
  objectLock?: LockMode | 'off';
  /** What names proxies for the service's own requests; left out: none. */
  proxies?: ProxyEnv;
  /** Now, in ms: signed URLs count from it. */
  clock: () => number;
}

export interface S3StoreOptions extends S3Options {
  /** `read`: no digest is believed that was not read back, whatever the probe found. */
  verify: 'auto' | 'read';
  /** What the last probe found; null before the first, when nothing counts as held. */
  report: () => ProbeReport | null;
  /** Settled when `report` tells what holds now; never rejected. */
  probeAgain: () => Promise<void>;
  /** A download from the service itself: for a range, where a URL of the bucket might give more than that. */
  selfServed: (download: DownloadOptions) => SignedRequest;
  /** Where objects of the service's own are hashed before they are sent. */
  spool: Spool;
}
