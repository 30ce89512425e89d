import * as z from 'zod/mini';
import { DownloadList, DownloadObject } from '../../../../src/api/downloads.ts';
import * as uploads from '../../../../src/api/uploads.ts';
import { FRAME_ENTRY_SIZE } from '../../../../src/core/frame-table.ts';
import { FRAMES_TOLD_MAX } from '../../../../src/core/zstd-frame.ts';
import { document, headers, id, KIB, listOf, signedUrl } from './answer.ts';

/** A signed URL with its headers, and what it is for. */
const PART_MAX = 8 * KIB;
const OBJECT_MAX = 16 * KIB;
/** All frame tables of a list. */
const FRAMES_MAX = FRAMES_TOLD_MAX * FRAME_ENTRY_SIZE * 2;

const PartRequest = z.extend(uploads.PartRequest, { url: signedUrl, headers });
const PlannedUpload = z.extend(uploads.PlannedUpload, { upload_id: z.nullable(id), parts: z.array(PartRequest) });
const Download = z
  .extend(DownloadObject, { url: signedUrl, headers })
  .check(z.refine(({ url, size }) => size === 0 || url.startsWith('http'), 'name no URL for their bytes'));

/** Of an upload that is open from before, all parts: it may have been cut otherwise. */
export const planned = listOf(z.object({ uploads: z.array(PlannedUpload) }), PART_MAX, { unasked: 10_000 });
export const partUrls = listOf(z.object({ parts: z.array(PartRequest) }), PART_MAX);
/** A service of version 0.1.0 does not tell the encoding. */
export const upload = document(z.omit(uploads.Upload, { encoding: true, stored_size: true }));
export const committed = document(uploads.CommittedUpload);
export const downloads = listOf(z.extend(DownloadList, { objects: z.array(Download) }), OBJECT_MAX, {
  beside: FRAMES_MAX,
});
