import type { Limits } from '../core/limits.ts';
import { SECRET_KINDS_MAX } from '../core/secret-record.ts';

const KIB = 1024;
const MIB = 1024 ** 2;

/**
 * What one request and one connection may cost. Sizes are bytes, times milliseconds. docs/operations.md lists them all.
 * Time counts against a client only while the service waits for it, never while storage or the registry is slow.
 */
export interface Bounds {
  /** From the opening of a connection, or the first byte of a request, to the end of the request's headers. */
  headersMs: number;
  /** The request line and all headers together. */
  headerBytes: number;
  /** An idle connection between requests. Longer than proxies keep theirs, so that they close first. */
  keepAliveMs: number;
  /** Bytes per second. A slower body uses up its patience. */
  bodyRate: number;
  /** How long a JSON body may stay below the rate. Its bytes wait in memory. */
  jsonPatienceMs: number;
  /** The same for a body of bytes, which go to storage as they arrive. */
  bytesPatienceMs: number;
  /** An answer that the client does not read. */
  answerIdleMs: number;
  /** JSON bodies of all connections together, from their first byte to the answer. */
  jsonInFlight: number;
  /** Levels of nesting in a JSON body. */
  jsonDepth: number;
  /** Connections at once; one more is answered with 503. */
  connections: number;
  /** Requests of one actor, a second. */
  callerRequests: number;
  /** Requests of one address whose sender is not authenticated, a second: part URLs, and tokens that are none. */
  addressRequests: number;
  /** Bodies of bytes that one actor, or one address, sends at once. */
  transfers: number;
  /** Archives that one actor takes at once: each has some MiB of files in memory. */
  archives: number;
  /** How long a connection stays open after an answer whose request body was not read, so that the client sees the answer. */
  lingerMs: number;
  /** How much of that body is read during this time. */
  lingerBytes: number;
}

export const DEFAULT_BOUNDS: Readonly<Bounds> = {
  headersMs: 20_000,
  headerBytes: 16 * KIB,
  keepAliveMs: 75_000,
  bodyRate: KIB,
  jsonPatienceMs: 30_000,
  bytesPatienceMs: 60_000,
  answerIdleMs: 120_000,
  jsonInFlight: 64 * MIB,
  jsonDepth: 64,
  connections: 10_000,
  callerRequests: 2_000,
  addressRequests: 2_000,
  transfers: 500,
  archives: 20,
  lingerMs: 2_000,
  lingerBytes: 128 * KIB,
};

/** How large the JSON body of one route may be. Values are counted by commas and opening brackets. */
export interface JsonBound {
  bytes: number;
  values: number;
}

export type JsonBoundOf = (limits: Limits) => JsonBound;

/** JSON escapes make the text of a path up to three times as long. */
const ESCAPED = 3;

/** A few fields; the longest is a reason of 2,000 characters. */
export const FEW_FIELDS: JsonBoundOf = () => ({ bytes: 32 * KIB, values: 100 });

/** Metadata, with room for escapes and indentation, a few texts, and fifty file rules. */
export const PACKAGE_FIELDS: JsonBoundOf = ({ metadata_max, metadata_values_max }) => ({
  bytes: 4 * metadata_max,
  values: metadata_values_max + 300,
});

/** What is expected, each place of a secret with its path and up to a quarter kilobyte, and how many of each kind there are. */
export const FINALIZE_FIELDS: JsonBoundOf = ({ secret_places_max, path_max }) => ({
  bytes: secret_places_max * (ESCAPED * path_max + KIB / 4) + (SECRET_KINDS_MAX * KIB) / 8 + KIB,
  values: secret_places_max * 5 + SECRET_KINDS_MAX + 100,
});

/** For each file: a path, eight values, and up to a kilobyte for the other fields. */
export const FILE_LIST: JsonBoundOf = ({ files_per_call, path_max }) => ({
  bytes: files_per_call * (ESCAPED * path_max + KIB),
  values: files_per_call * 10 + 100,
});

export const PATH_LIST: JsonBoundOf = ({ files_per_call, path_max }) => ({
  bytes: files_per_call * (ESCAPED * path_max + 16) + KIB,
  values: files_per_call + 100,
});

/** Objects have nine fields, members three, parts two; each has a digest, some objects two. A frame is eleven characters. */
export const OBJECT_LIST: JsonBoundOf = ({ objects_per_call, members_per_call, parts_per_call, frames_per_call }) => ({
  bytes: objects_per_call * 512 + (members_per_call + parts_per_call) * 192 + frames_per_call * 11 + KIB,
  values: objects_per_call * 11 + members_per_call * 4 + parts_per_call * 3 + 100,
});

/** Numbers, or numbers and ETags. */
export const PART_LIST: JsonBoundOf = ({ max_parts }) => ({
  bytes: max_parts * 128 + KIB,
  values: max_parts * 3 + 100,
});
