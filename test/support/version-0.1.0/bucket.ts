import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { MIGRATIONS } from '../../../migrations/index.ts';
import { connectPostgres } from '../../../src/registry/connect-postgres.ts';
import { migrate } from '../../../src/registry/migrate.ts';
import { REGISTRY_FILE, type Row, readRows } from './fixture.ts';

/**
 * What version 0.1.0 would have written, had it had PostgreSQL and a bucket: the rows that it wrote to SQLite, below the schema
 * of migration 0001, and its objects under their keys.
 * @param dataDir of version 0.1.0 @param databaseUrl of an empty database @param bucket an empty one
 */
export async function moveToBucket(dataDir: string, databaseUrl: string, s3: S3Client, bucket: string): Promise<void> {
  const tables = readRows(join(dataDir, REGISTRY_FILE));
  const rowsOf = (name: string): Row[] => tables.find(({ table }) => table === name)?.rows ?? [];
  const pathOf = (key: unknown): string => join(dataDir, 'blobs', String(key));
  for (const { key } of rowsOf('objects')) await putObject(s3, bucket, String(key), await readFile(pathOf(key)));
  for (const upload of rowsOf('uploads')) {
    // Storage has a name of its own for each upload.
    if (upload.state !== 'open') continue;
    const parts = join(dataDir, 'blobs/uploads', String(upload.id));
    upload.storage_upload_id = await openUpload(s3, bucket, String(upload.key), parts);
  }
  await fillPostgres(databaseUrl, tables);
}

async function fillPostgres(url: string, tables: ReturnType<typeof readRows>): Promise<void> {
  const db = connectPostgres(url);
  try {
    await migrate(db, MIGRATIONS.slice(0, 1));
    for (const { table, rows } of tables) {
      const columns = await db(table).columnInfo();
      const typed = (row: Row) =>
        Object.entries(row)
          // The database counts these itself, from where the last row is.
          .filter(([column]) => column !== 'seq')
          .map(([column, value]) => [column, columns[column]?.type === 'boolean' ? value === 1 : value]);
      if (rows.length > 0)
        await db.batchInsert(
          table,
          rows.map((row) => Object.fromEntries(typed(row))),
          100,
        );
    }
  } finally {
    await db.destroy();
  }
}

/** As every upload of 0.1.0 made its object: in parts, here in one. */
async function putObject(s3: S3Client, bucket: string, key: string, bytes: Buffer): Promise<void> {
  const UploadId = await begin(s3, bucket, key);
  const ETag = await sendPart(s3, bucket, key, UploadId, 1, bytes);
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await s3.send(new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload }));
}

/** An upload that is not completed. @param folder of its parts, as the folder store names them @returns S3's id of it */
async function openUpload(s3: S3Client, bucket: string, key: string, folder: string): Promise<string> {
  const UploadId = await begin(s3, bucket, key);
  for (const name of await readdir(folder))
    await sendPart(s3, bucket, key, UploadId, Number.parseInt(name, 10), await readFile(join(folder, name)));
  return UploadId;
}

async function begin(s3: S3Client, Bucket: string, Key: string): Promise<string> {
  const headers = { ContentType: 'application/octet-stream', ContentDisposition: 'attachment' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...headers }));
  if (UploadId === undefined) throw new Error(`storage opened no upload for ${Key}`);
  return UploadId;
}

async function sendPart(
  s3: S3Client,
  Bucket: string,
  Key: string,
  UploadId: string,
  PartNumber: number,
  Body: Buffer,
): Promise<string | undefined> {
  const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
  return ETag;
}
