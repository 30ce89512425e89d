import * as z from 'zod';
import { ConfigError, PREFIX } from './config.ts';
import { DEFAULT_LIMITS, type Limits } from './core/limits.ts';
import { DEFAULT_QUOTAS, type Quotas } from './core/quotas.ts';
import { type Bounds, DEFAULT_BOUNDS } from './http/bounds.ts';

/** All that can be limited. */
export interface AllLimits {
  limits: Limits;
  quotas: Quotas;
  bounds: Bounds;
}

export const DEFAULT_ALL_LIMITS: AllLimits = {
  limits: DEFAULT_LIMITS,
  quotas: DEFAULT_QUOTAS,
  bounds: DEFAULT_BOUNDS,
};

const KIB = 1024;
const DAY_S = 86_400;
const MS = 1_000;

const count = (min: number, max: number) => z.int().min(min).max(max);
const bytes = (min: number) => count(min, Number.MAX_SAFE_INTEGER);
const seconds = (min: number) => z.number().min(min).max(DAY_S);
/** Null: no limit. */
const quota = bytes(0).nullable();

/**
 * The names of the file that ARTIFACT_STORE_LIMITS names. docs/limits.md is checked against them. Bounds below which nothing would
 * work any more are the least that can be set.
 */
export const LIMITS_FILE = z.strictObject({
  caller_requests_per_second: count(1, 1_000_000),
  address_requests_per_second: count(1, 1_000_000),
  transfers_at_once: count(1, 1_000_000),
  archives_at_once: count(1, 1_000_000),
  connections: count(10, 1_000_000),
  open_packages: count(1, 100_000_000),
  uploads_per_package: count(1, 10_000_000),
  files_per_package: count(1, DEFAULT_QUOTAS.files_per_package),
  bytes_per_package: quota,
  bytes_per_producer: quota,
  producers: z.record(z.string().min(1), z.strictObject({ bytes: quota })),
  json_bytes: bytes(64 * KIB).max(DEFAULT_LIMITS.json_body_max),
  json_depth: count(8, 1_000),
  json_in_flight_bytes: bytes(DEFAULT_LIMITS.json_body_max),
  json_patience_seconds: seconds(1),
  header_bytes: bytes(8 * KIB).max(KIB * KIB),
  header_seconds: seconds(1),
  body_bytes_per_second: bytes(1),
  body_patience_seconds: seconds(1),
  answer_patience_seconds: seconds(1),
  idle_seconds: seconds(1),
});

export type LimitName = keyof z.infer<typeof LIMITS_FILE>;

/** The built-in limits, with those of the file in their place. @param text the file's content @throws ConfigError */
export function parseLimits(text: string, file: string): AllLimits {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong(file, `is not JSON (${(error as Error).message})`);
  }
  const result = LIMITS_FILE.partial().safeParse(parsed);
  if (!result.success) {
    const [issue] = result.error.issues;
    const name = issue?.path.join('.') ?? '';
    throw wrong(
      file,
      `is wrong${name === '' ? '' : ` at ${name}`}: ${issue?.message} (docs/limits.md lists all names)`,
    );
  }
  return allLimits(result.data);
}

/** What each limit is if nothing is configured, by the names of the file. */
export const DEFAULT_BY_NAME: Readonly<z.infer<typeof LIMITS_FILE>> = {
  caller_requests_per_second: DEFAULT_BOUNDS.callerRequests,
  address_requests_per_second: DEFAULT_BOUNDS.addressRequests,
  transfers_at_once: DEFAULT_BOUNDS.transfers,
  archives_at_once: DEFAULT_BOUNDS.archives,
  connections: DEFAULT_BOUNDS.connections,
  open_packages: DEFAULT_QUOTAS.open_packages,
  uploads_per_package: DEFAULT_QUOTAS.uploads_per_package,
  files_per_package: DEFAULT_QUOTAS.files_per_package,
  bytes_per_package: DEFAULT_QUOTAS.bytes_per_package,
  bytes_per_producer: DEFAULT_QUOTAS.bytes_per_producer,
  producers: DEFAULT_QUOTAS.producers,
  json_bytes: DEFAULT_LIMITS.json_body_max,
  json_depth: DEFAULT_BOUNDS.jsonDepth,
  json_in_flight_bytes: DEFAULT_BOUNDS.jsonInFlight,
  json_patience_seconds: DEFAULT_BOUNDS.jsonPatienceMs / MS,
  header_bytes: DEFAULT_BOUNDS.headerBytes,
  header_seconds: DEFAULT_BOUNDS.headersMs / MS,
  body_bytes_per_second: DEFAULT_BOUNDS.bodyRate,
  body_patience_seconds: DEFAULT_BOUNDS.bytesPatienceMs / MS,
  answer_patience_seconds: DEFAULT_BOUNDS.answerIdleMs / MS,
  idle_seconds: DEFAULT_BOUNDS.keepAliveMs / MS,
};

function allLimits(given: Partial<z.infer<typeof LIMITS_FILE>>): AllLimits {
  const all = { ...DEFAULT_BY_NAME, ...given };
  const { open_packages, uploads_per_package, files_per_package, bytes_per_package, bytes_per_producer } = all;
  return {
    limits: { ...DEFAULT_LIMITS, json_body_max: all.json_bytes },
    quotas: {
      open_packages,
      uploads_per_package,
      files_per_package,
      bytes_per_package,
      bytes_per_producer,
      producers: all.producers,
    },
    bounds: {
      ...DEFAULT_BOUNDS,
      callerRequests: all.caller_requests_per_second,
      addressRequests: all.address_requests_per_second,
      transfers: all.transfers_at_once,
      archives: all.archives_at_once,
      connections: all.connections,
      jsonDepth: all.json_depth,
      jsonInFlight: all.json_in_flight_bytes,
      jsonPatienceMs: all.json_patience_seconds * MS,
      headerBytes: all.header_bytes,
      headersMs: all.header_seconds * MS,
      bodyRate: all.body_bytes_per_second,
      bytesPatienceMs: all.body_patience_seconds * MS,
      answerIdleMs: all.answer_patience_seconds * MS,
      keepAliveMs: all.idle_seconds * MS,
    },
  };
}

function wrong(file: string, why: string): ConfigError {
  return new ConfigError(`${PREFIX}LIMITS: ${file} ${why}.`);
}
