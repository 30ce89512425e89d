import { StoreError } from '../core/errors.ts';
import { hasErrno } from './file-layer.ts';

/** Maps a file system error to what it means for a caller; any other error stays as it is. */
export function storageError(error: unknown, doing: string): unknown {
  if (!hasErrno(error)) return error;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new StoreError('no_space', `The storage was full while ${doing}.`, {}, { cause: error });
  }
  return new StoreError('unavailable', `The storage failed (${error.code}) while ${doing}.`, {}, { cause: error });
}

/** @param doing the action, as in "while writing part 3" @throws StoreError no_space, unavailable */
export async function storing<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, doing);
  }
}
