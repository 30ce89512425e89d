import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { ReceivedPart } from './blob-store.ts';
import type { StreamChecker } from './check-thread.ts';
import type { FileLayer } from './file-layer.ts';
import { storing } from './fs-errors.ts';
import { rulesOf } from './part-rules.ts';
import { discardFile, writePrivateFile } from './private-file.ts';
import type { UploadFolders } from './upload-folders.ts';

/** Takes the bytes of part requests that this very service signed. */
export interface PartReceiver {
  /**
   * Stores the part durably if the body is exactly the planned bytes; otherwise nothing is left. Each attempt has a
   * file of its own, so attempts cannot disturb each other. The same part again: no change.
   * @throws StoreError body_length_mismatch, part_digest_mismatch, upload_closed, no_space, unavailable
   */
  receivePart(uploadId: UploadId, part: PlannedPart, body: AsyncIterable<Uint8Array>): Promise<ReceivedPart>;
}

/** @param directory gives the folder for attempts, checked */
export function partReceiver(
  { files, checker }: { files: FileLayer; checker: StreamChecker },
  uploads: UploadFolders,
  directory: () => Promise<string>,
): PartReceiver {
  return {
    receivePart: (uploadId, part, body) =>
      storing(`receiving part ${part.number} of upload ${uploadId}`, async () => {
        await uploads.assertOpen(uploadId);
        const { file } = await writePrivateFile(
          files,
          await directory(),
          body,
          rulesOf(part),
          checker.forSize(part.size),
        );
        try {
          return await uploads.add(uploadId, part, file);
        } finally {
          await discardFile(files, file);
        }
      }),
  };
}
