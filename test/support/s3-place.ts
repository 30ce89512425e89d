export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

/** An S3 server that suites may make buckets on. */
export interface S3Server {
  endpoint: string;
  region: string;
  /** May do everything with the buckets that it makes. */
  credentials: S3Keys;
  /** May only write. */
  uploadCredentials: S3Keys;
  /** What is readable afterwards stays readable. Of a server that somebody else runs, nothing is done. */
  collectGarbage(): Promise<void>;
  stop(): Promise<void>;
}
