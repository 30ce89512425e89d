import type { Json } from '../core/canonical-json.ts';
import { isStoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { readFile } from './read-file.ts';
import type { Caller, Services, WithReader } from './services.ts';

/** Bytes of a JSON document that is read whole for people. */
export const DOCUMENT_MAX = 2 * 1024 ** 2;

/** Null: there is no such file; a problem: it cannot be shown, in half a sentence. */
export type ReadDocument = { value: Json } | { problem: string } | null;

/** A file of a package as JSON. */
export async function readDocument(
  services: Services<WithReader>,
  caller: Caller,
  id: PackageId,
  path: string,
): Promise<ReadDocument> {
  try {
    const { size, openWhole } = await readFile(services, caller, id, path as LogicalPath);
    if (size > DOCUMENT_MAX) return { problem: 'is too long to be shown' };
    const bytes = await openWhole();
    const chunks: Uint8Array[] = [];
    if (bytes instanceof Uint8Array) chunks.push(bytes);
    else for await (const chunk of bytes as AsyncIterable<Uint8Array>) chunks.push(chunk);
    return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json };
  } catch (error) {
    if (error instanceof SyntaxError) return { problem: 'is not JSON' };
    if (isStoreError(error) && error.status === 404) return null;
    if (isStoreError(error) && error.status < 500) return { problem: 'cannot be read' };
    throw error;
  }
}
