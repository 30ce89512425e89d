import { randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

/** An upload of one part as bare S3 has it, not as the store makes it: its part has arrived. */
export interface RawUpload {
  bytes: Buffer;
  /** What Complete is asked. */
  completion: CompleteMultipartUploadCommandInput;
  /** What Abort is asked. */
  named: { Bucket: string; Key: string; UploadId: string };
}

export async function openRaw(
  client: S3Client,
  at: { Bucket: string; Key: string },
  bytes: Buffer = randomBytes(100_000),
): Promise<RawUpload> {
  const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(at));
  const named = { ...at, UploadId };
  const { ETag } = await client.send(new UploadPartCommand({ ...named, PartNumber: 1, Body: bytes }));
  return { bytes, named, completion: { ...named, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } } };
}

export function completeRaw(client: S3Client, { completion }: Pick<RawUpload, 'completion'>) {
  return client.send(new CompleteMultipartUploadCommand(completion));
}

/** What storage answers: its status, and its code where it refuses. @throws what is no answer */
export async function answerOf(request: Promise<{ $metadata: { httpStatusCode?: number } }>): Promise<string> {
  try {
    return String((await request).$metadata.httpStatusCode);
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return `${error.$metadata.httpStatusCode} ${error.name}`;
  }
}

/** The bytes that a GET gives; null: 404. */
export async function getRaw(
  client: S3Client,
  at: { Bucket: string; Key: string; VersionId?: string },
): Promise<Buffer | null> {
  try {
    const { Body } = await client.send(new GetObjectCommand(at));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  } catch (error) {
    if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return null;
    throw error;
  }
}

export function headRaw(client: S3Client, { Bucket, Key }: { Bucket: string; Key: string }): Promise<string> {
  return answerOf(client.send(new HeadObjectCommand({ Bucket, Key })));
}
