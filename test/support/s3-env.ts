import type { S3Keys, S3Server } from './s3-server.ts';

/** What a service is told of a bucket: where it is, and the control plane's key. */
export function s3Env(
  { endpoint, region, credentials }: Pick<S3Server, 'endpoint' | 'region' | 'credentials'>,
  bucket: string,
): Record<string, string> {
  return {
    ARTIFACT_STORE_S3_BUCKET: bucket,
    ARTIFACT_STORE_S3_ENDPOINT: endpoint,
    ARTIFACT_STORE_S3_REGION: region,
    ARTIFACT_STORE_S3_ACCESS_KEY_ID: credentials.accessKeyId,
    ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
}

/** And the key that part URLs are signed with, which may only write. */
export function uploadKeyEnv({ uploadCredentials }: { uploadCredentials: S3Keys }): Record<string, string> {
  return {
    ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID: uploadCredentials.accessKeyId,
    ARTIFACT_STORE_S3_UPLOAD_SECRET_ACCESS_KEY: uploadCredentials.secretAccessKey,
  };
}
