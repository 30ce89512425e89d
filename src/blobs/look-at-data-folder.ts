import { readdir } from 'node:fs/promises';
import { checkFormat, checkOwner, DataFolderError } from './data-folder.ts';
import { hasErrno } from './file-layer.ts';

/** What stands at this path; it is looked at, and nothing that is written stays. @throws DataFolderError when no service would start with it */
export async function lookAtDataFolder(dir: string): Promise<'absent' | 'empty' | 'made'> {
  try {
    await readdir(dir);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 'absent';
    const why = (error as Error).message;
    throw hasErrno(error, 'ENOTDIR')
      ? new DataFolderError('not_a_data_folder', `${dir} is not a folder: set ARTIFACT_STORE_DATA_DIR to another one.`)
      : new DataFolderError(
          'not_writable',
          `The data folder ${dir} cannot be read (${why}): give this user read and write access, or set ARTIFACT_STORE_DATA_DIR to another folder.`,
          { cause: error },
        );
  }
  if (!(await checkFormat(dir))) return 'empty';
  await checkOwner(dir);
  return 'made';
}
