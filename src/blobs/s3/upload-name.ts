/**
 * What the registry keeps as storage's name of an upload: S3's UploadId, and before it whether the upload was opened for
 * parts with a checksum header. AWS refuses a part that does not fit what its upload was opened for, and what the probe
 * finds may change between the two.
 */
export interface UploadName {
  s3Id: string;
  checksums: boolean;
}

const MARK = 'sha256:';

export function formatUploadName({ s3Id, checksums }: UploadName): string {
  return checksums ? MARK + s3Id : s3Id;
}

export function parseUploadName(text: string): UploadName {
  return text.startsWith(MARK) ? { s3Id: text.slice(MARK.length), checksums: true } : { s3Id: text, checksums: false };
}

/** What the registry may have kept of an upload that S3 lists. */
export function namesOf(s3Id: string): string[] {
  return [true, false].map((checksums) => formatUploadName({ s3Id, checksums }));
}
