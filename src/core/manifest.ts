import { canonicalJson, type JsonObject } from './canonical-json.ts';

/**
 * The manifest: the canonical list of a finalized package's files. RFC 8785 over
 * `{schema, package, files}`, whose keys sort as files, package, schema, so it can be written while files are read.
 */
export const MANIFEST_SCHEMA = 'artifact-store/manifest/v1';

export interface ManifestPackage {
  id: string;
  name: string;
  producer: string;
  subject: string | null;
  external_id: string | null;
  supersedes: string | null;
  created_at: string;
  finalized_at: string;
  retention_class: string;
  metadata: JsonObject;
}

export interface ManifestFile {
  path: string;
  /** 64 hex digits, without a prefix, as `sha256sum` writes them. */
  sha256: string;
  size: number;
  media_type: string;
  /** RFC 3339, UTC; only when the producer recorded it. */
  mtime?: string;
  /** Only ever true: left out otherwise. */
  executable?: true;
}

export interface Manifest {
  schema: typeof MANIFEST_SCHEMA;
  package: ManifestPackage;
  files: ManifestFile[];
}

/** The manifest's bytes in pieces. `pages` must come sorted by the path's UTF-8 bytes; it is read once. */
export async function* manifestChunks(
  pkg: ManifestPackage,
  pages: AsyncIterable<ManifestFile[]>,
): AsyncGenerator<Buffer> {
  let opening = '{"files":[';
  for await (const page of pages) {
    if (page.length === 0) continue;
    yield Buffer.from(opening + page.map(canonicalJson).join(','));
    opening = ',';
  }
  if (opening !== ',') yield Buffer.from(opening);
  yield Buffer.from(`],"package":${canonicalJson(pkg)},"schema":${canonicalJson(MANIFEST_SCHEMA)}}`);
}

/**
 * One line of `sha256sum` output: `<hex>  <path>`. GNU coreutils escapes a name with a backslash or a line break and
 * marks the line with a backslash in front; control characters cannot occur in our paths.
 */
export function sha256sumLine(sha256: string, path: string): string {
  return path.includes('\\') ? `\\${sha256}  ${path.replaceAll('\\', '\\\\')}\n` : `${sha256}  ${path}\n`;
}
