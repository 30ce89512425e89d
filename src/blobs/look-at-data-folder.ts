import { readdir } from 'node:fs/promises';
import { checkFormat, DataFolderError } from './data-folder.ts';
import { hasErrno } from './file-layer.ts';

/** What stands at this path; it is looked at, and not changed. @throws DataFolderError when no service would start with it */
export async function lookAtDataFolder(dir: string): Promise<'absent' | 'empty' | 'made'> {
  let names: string[];
  try {
    names = await readdir(dir);
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
  await checkFormat(dir);
  return names.includes('format.json') ? 'made' : 'empty';
}
