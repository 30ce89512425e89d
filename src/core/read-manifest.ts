import { canonicalJson, type JsonObject } from './canonical-json.ts';
import { isId } from './ids.ts';
import { pathProblem } from './logical-path.ts';
import { MANIFEST_SCHEMA, type ManifestFile, type ManifestPackage } from './manifest.ts';
import { splitManifest } from './manifest-splitter.ts';
import { canonicalMetadata } from './metadata.ts';

/** A text that is no manifest, or not one that this version can read; the message is half a sentence. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/**
 * A manifest as its bytes come: a page of files for each piece, and at the end what it says of the package. Everything is checked
 * as if a stranger had written it. @throws ManifestError
 */
export async function* readManifest(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<ManifestFile[], ManifestPackage, undefined> {
  let page: ManifestFile[] = [];
  let last = '';
  const splitter = splitManifest((list) => {
    for (const file of JSON.parse(list) as unknown[]) {
      assertFile(file);
      if (Buffer.compare(Buffer.from(last), Buffer.from(file.path)) >= 0) throw new ManifestError('is out of order');
      last = file.path;
      page.push(file);
    }
  });
  try {
    for await (const chunk of bytes) {
      splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      if (page.length === 0) continue;
      yield page;
      page = [];
    }
    return packageOf(splitter.end());
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)
      throw new ManifestError(`is no manifest (${error.message})`, { cause: error });
    throw error;
  }
}

function assertFile(file: unknown): asserts file is ManifestFile {
  const { path, sha256, size, media_type, mtime, executable } = (file ?? {}) as Record<string, unknown>;
  const right =
    typeof path === 'string' &&
    pathProblem(path) === null &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isSafeInteger(size) &&
    (size as number) >= 0 &&
    typeof media_type === 'string' &&
    (mtime === undefined || typeof mtime === 'string') &&
    (executable === undefined || executable === true);
  if (!right) throw new ManifestError(`has a file that is none: ${JSON.stringify(file).slice(0, 200)}`);
}

function packageOf(rest: unknown): ManifestPackage {
  const { package: said, schema } = (rest ?? {}) as { package?: Record<string, unknown>; schema?: unknown };
  if (schema !== MANIFEST_SCHEMA) throw new ManifestError(`has the schema ${JSON.stringify(schema)}`);
  const text = (name: string): boolean => typeof said?.[name] === 'string';
  const textOrNull = (name: string): boolean => said?.[name] === null || text(name);
  const time = (name: string): boolean => text(name) && !Number.isNaN(Date.parse(said?.[name] as string));
  const right =
    said !== undefined &&
    text('id') &&
    isId('pkg', said.id as string) &&
    ['name', 'producer', 'retention_class'].every(text) &&
    ['subject', 'external_id', 'supersedes'].every(textOrNull) &&
    ['created_at', 'finalized_at'].every(time) &&
    typeof said.metadata === 'object' &&
    said.metadata !== null &&
    !Array.isArray(said.metadata);
  if (!right) throw new ManifestError(`has a package that is none: ${canonicalJson(said ?? null).slice(0, 200)}`);
  canonicalMetadata(said.metadata as JsonObject);
  return said as unknown as ManifestPackage;
}
