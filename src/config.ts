import * as z from 'zod';
import { parseByteRate } from './core/byte-rate.ts';
import { parseDuration } from './core/duration.ts';
import { fileRulesProblem } from './core/file-rules.ts';
import { LOCK_MODES, type LockMode } from './core/object-lock.ts';
import { PROXY_VARIABLES, type ProxyEnv, proxyEnvOf } from './core/proxy.ts';
import { type AllowedPlace, parseAllowedPlace } from './core/public-address.ts';
import { classOf, DEFAULT_RETENTION_CLASSES, type RetentionClasses } from './core/retention.ts';
import { withSecrets } from './secret-files.ts';

/**
 * The one reader of the environment. Every variable is described here; docs/operations.md and the README are checked
 * against VARIABLES. A bad value stops the start with one message that names the variable.
 */
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const url = z
  .url({ protocol: /^https?$/, message: 'must be an http or https URL' })
  .refine((value) => !/[?#@]/.test(value), 'must be a plain URL, without credentials, query or fragment')
  .transform((value) => value.replace(/\/+$/, ''));

/** Of somebody else's service: its path and query are as they are. */
const authorityUrl = z.url({ protocol: /^https?$/, message: 'must be an http or https URL' }).refine((value) => {
  const url = URL.parse(value);
  return url !== null && url.username === '' && url.password === '' && url.hash === '';
}, 'must be a URL without credentials and fragment');

const databaseUrl = z
  .string()
  .refine(
    (value) => /^postgres(ql)?:\/\//.test(value) && URL.canParse(value),
    'must be a URL as in postgres://user:password@host:5432/database, special characters of the password percent-encoded',
  );

/** Of S3: shells and files put line breaks around them. */
const key = z
  .string()
  .trim()
  .regex(/^[\x21-\x7e]+$/, 'must contain only ASCII characters, and no spaces');

/** One of SECRETS, as a path. */
const secretFile = (name: string) =>
  z.string().optional().describe(`path of a file that holds ${name} in the variable's place`);

const duration = z.string().refine((text) => parseDuration(text) !== null, 'must be a duration: 0s, 30m, 24h, 7d');
const INTERVAL_MIN_MS = 60_000;
/** Of something that the service does by itself. */
const interval = z
  .string()
  .refine(
    (text) => text === 'off' || (parseDuration(text) ?? 0) >= INTERVAL_MIN_MS,
    'must be off, or a duration of a minute or more: 30m, 24h, 7d',
  );
/** Bytes per second. */
const byteRate = z
  .string()
  .refine((text) => parseByteRate(text) !== null, 'must be bytes per second: 500kB/s, 20MB/s, 1GB/s');

export const VARIABLES = {
  HOST: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a number from 0 to 65535')
    .transform(Number)
    .pipe(z.int().max(65_535, 'must be a number from 0 to 65535'))
    .default(8420)
    .describe('port to listen on; 0 picks a free one'),
  PUBLIC_URL: url.optional().describe('how clients reach the service; signed local URLs contain it'),
  DATA_DIR: z.string().min(1).default('./data').describe('SQLite file, local blobs, signing key; created 0700'),
  DATABASE_URL: databaseUrl
    .optional()
    .describe('postgres://user:password@host:port/database; SQLite in the data folder without it'),
  DATABASE_URL_FILE: secretFile('DATABASE_URL'),
  S3_BUCKET: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      'must be a bucket name: 3 to 63 lower-case letters, digits, dots, dashes',
    )
    .optional()
    .describe('selects the S3 backend; the local folder without it'),
  S3_ENDPOINT: url.optional().describe('S3 endpoint; AWS without it'),
  S3_PUBLIC_ENDPOINT: url.optional().describe('what signed URLs name; the endpoint without it'),
  S3_REGION: z.string().default('us-east-1').describe('S3 region'),
  S3_PREFIX: z
    .string()
    .max(200, 'must have at most 200 characters')
    .regex(
      /^\/*[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\/*$/,
      'must be letters, digits, ".", "_", "-" and "/" alone',
    )
    .optional()
    .describe('put before every key'),
  S3_FORCE_PATH_STYLE: flag.default(true).describe('bucket in the path instead of the host name'),
  S3_ACCESS_KEY_ID: key.optional().describe("the control plane's key; the SDK's default chain without it"),
  S3_SECRET_ACCESS_KEY: key.optional().describe('its secret'),
  S3_SECRET_ACCESS_KEY_FILE: secretFile('S3_SECRET_ACCESS_KEY'),
  S3_UPLOAD_ACCESS_KEY_ID: key.optional().describe('a write-only key that signs upload URLs'),
  S3_UPLOAD_SECRET_ACCESS_KEY: key.optional().describe('its secret'),
  S3_UPLOAD_SECRET_ACCESS_KEY_FILE: secretFile('S3_UPLOAD_SECRET_ACCESS_KEY'),
  S3_OBJECT_LOCK: z
    .enum(['off', ...LOCK_MODES])
    .default('off')
    .describe(
      'governance, compliance: storage itself refuses to remove what packages need; the bucket has Object Lock',
    ),
  S3_VERIFY: z.enum(['auto', 'read']).default('auto').describe('read: hash every committed object by reading it back'),
  SIGNING_KEY: z
    .string()
    .min(32, 'must have at least 32 characters')
    .optional()
    .describe('signs local URLs and cursors; kept in the data folder without it'),
  SIGNING_KEY_FILE: secretFile('SIGNING_KEY'),
  ATTESTATION_KEY: z
    .string()
    .trim()
    .optional()
    .describe(
      'Ed25519 private key in PEM, or the path of a file with one: signs attestations; kept in the data folder without it',
    ),
  TIMESTAMP_URL: authorityUrl
    .optional()
    .describe('RFC 3161 authority that stamps checkpoints of the audit; none without it'),
  ADMIN_TOKEN: z
    .string()
    .trim()
    .min(16, 'must have at least 16 characters')
    .regex(/^[\x21-\x7e]+$/, 'must contain only ASCII characters, and no spaces: no header could carry it')
    .optional()
    .describe('bearer token with every scope; without it only loopback is served'),
  ADMIN_TOKEN_FILE: secretFile('ADMIN_TOKEN'),
  OIDC_RULES: z
    .string()
    .optional()
    .describe('path of a JSON file: which JWTs of CI jobs are accepted, and what each may do'),
  RETENTION_CLASSES: z
    .string()
    .optional()
    .describe('path of a JSON file: class → days, or null for never; with rules for some of its files'),
  LIMITS: z
    .string()
    .optional()
    .describe('path of a JSON file: rates, quotas and sizes in the place of the built-in ones'),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((value) => value.split(/[\s,]+/).filter((origin) => origin !== ''))
    .pipe(
      z.array(z.url({ protocol: /^https?$/ }).refine((origin) => URL.parse(origin)?.origin === origin, 'is no origin')),
    )
    .describe('origins that browsers may call from, separated by commas'),
  SWEEP_INTERVAL: interval
    .default('off')
    .describe('how often the service sweeps by itself: `24h`; `off`: only when it is asked to'),
  SWEEP_GRACE: duration
    .default('24h')
    .describe('how long what nothing needs stays before a sweep removes it: `0s`, `30m`, `24h`, `7d`'),
  FIXITY_PERIOD: interval
    .default('30d')
    .describe(
      'every object is read again, and checked, at least once in this time: `30d`; `off`: only when it is asked for',
    ),
  FIXITY_RATE: byteRate.default('20MB/s').describe('how fast one service reads for that: `500kB/s`, `20MB/s`'),
  WEBHOOK_ALLOW: z
    .string()
    .default('')
    .transform((value) => value.split(/[\s,]+/).filter((place) => place !== ''))
    .pipe(
      z.array(
        z.string().transform((place, { issues }) => {
          const parsed = parseAllowedPlace(place);
          if (parsed !== null) return parsed;
          const message = 'must be hosts, .domains, addresses or networks (10.0.0.0/8), separated by commas';
          issues.push({ code: 'custom', message, input: place });
          return z.NEVER;
        }),
      ),
    )
    .describe(
      'where webhooks may lead beside public addresses, and without TLS: hosts, `.domain`, addresses, networks, separated by commas',
    ),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('least important message that is logged'),
} as const;

type Values = { [Name in keyof typeof VARIABLES]: z.infer<(typeof VARIABLES)[Name]> };

export const PREFIX = 'ARTIFACT_STORE_';

/** Variables of the platform that both obey, beside those in lower case. */
export const PLATFORM_VARIABLES = [...PROXY_VARIABLES, 'NODE_EXTRA_CA_CERTS'] as const;

/** Variables of the command line's client, which the service knows and ignores. */
export const CLIENT_VARIABLES = ['URL', 'TOKEN'] as const;

export interface S3Config {
  bucket: string;
  endpoint: string | null;
  publicEndpoint: string | null;
  region: string;
  prefix: string | null;
  forcePathStyle: boolean;
  credentials: { accessKeyId: string; secretAccessKey: string } | null;
  uploadCredentials: { accessKeyId: string; secretAccessKey: string } | null;
  verify: 'auto' | 'read';
  /** How objects are locked. */
  objectLock: LockMode | 'off';
  /** What names proxies for the service's own way to the bucket. */
  proxies: ProxyEnv;
}

export interface Config {
  host: string;
  port: number;
  publicUrl: string | null;
  dataDir: string;
  /** Null: the local folder. */
  s3: S3Config | null;
  /** Null: SQLite in the data folder. */
  databaseUrl: string | null;
  signingKey: string | null;
  /** PEM, or the path of a file with it; null: the data folder's. */
  attestationKey: string | null;
  /** The authority that stamps checkpoints of the audit (RFC 3161), and the proxies that lead to it; null: none does. */
  timeStamps: { url: string; proxies: ProxyEnv } | null;
  adminToken: string | null;
  /** The file of identity rules, and what names proxies on the way to the issuers; null: no JWT is accepted. */
  identities: { file: string; proxies: ProxyEnv } | null;
  retentionClassesFile: string | null;
  limitsFile: string | null;
  corsOrigins: readonly string[];
  /** How often the service sweeps by itself, ms; null: never. */
  sweepInterval: number | null;
  /** How long what nothing needs stays condemned, ms. */
  sweepGrace: number;
  /** In what time every object is read again, ms; null: only when it is asked for. */
  fixityPeriod: number | null;
  /** Bytes per second. */
  fixityRate: number;
  /** Where webhooks may lead beside public addresses. */
  webhookAllow: readonly AllowedPlace[];
  logLevel: Values['LOG_LEVEL'];
}

/** The environment asks for something that cannot be; `message` names the variable and says what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** @throws ConfigError */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const values = parse(env);
  return Object.freeze({
    host: values.HOST,
    port: values.PORT,
    publicUrl: values.PUBLIC_URL ?? null,
    dataDir: values.DATA_DIR,
    s3: s3Config(values, env),
    databaseUrl: values.DATABASE_URL ?? null,
    signingKey: values.SIGNING_KEY ?? null,
    attestationKey: values.ATTESTATION_KEY ?? null,
    timeStamps: values.TIMESTAMP_URL === undefined ? null : { url: values.TIMESTAMP_URL, proxies: proxyEnvOf(env) },
    adminToken: values.ADMIN_TOKEN ?? null,
    identities: values.OIDC_RULES === undefined ? null : { file: values.OIDC_RULES, proxies: proxyEnvOf(env) },
    retentionClassesFile: values.RETENTION_CLASSES ?? null,
    limitsFile: values.LIMITS ?? null,
    corsOrigins: values.CORS_ORIGINS,
    sweepInterval: parseDuration(values.SWEEP_INTERVAL),
    sweepGrace: parseDuration(values.SWEEP_GRACE) ?? 0,
    fixityPeriod: parseDuration(values.FIXITY_PERIOD),
    fixityRate: parseByteRate(values.FIXITY_RATE) ?? 0,
    webhookAllow: values.WEBHOOK_ALLOW,
    logLevel: values.LOG_LEVEL,
  });
}

function parse(given: Record<string, string | undefined>): Values {
  const problems: string[] = [];
  const env = withSecrets(given, PREFIX, problems);
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(env).filter((key) => key.startsWith(PREFIX))) {
    const short = name.slice(PREFIX.length);
    const known =
      Object.hasOwn(VARIABLES, short) ||
      short.startsWith('TEST_') ||
      (CLIENT_VARIABLES as readonly string[]).includes(short);
    if (!known) problems.push(`${name} is not a variable of artifact-store: the README lists them all`);
  }
  for (const [short, schema] of Object.entries(VARIABLES)) {
    // An empty variable is one that compose files and shells could not leave out.
    const parsed = schema.safeParse(env[PREFIX + short] || undefined);
    if (parsed.success) values[short] = parsed.data;
    else problems.push(`${PREFIX}${short} ${describe(parsed.error)}`);
  }
  if (problems.length > 0) throw new ConfigError(`${problems.join('; ')}.`);
  return values as Values;
}

function describe(error: z.ZodError): string {
  const message = error.issues[0]?.message ?? 'is wrong';
  return /^(must|is) /.test(message) ? message : `is wrong: ${message}`;
}

/** @throws ConfigError when the S3 variables do not go together: nothing falls back silently */
function s3Config(values: Values, env: Record<string, string | undefined>): S3Config | null {
  if (values.S3_BUCKET === undefined) {
    const [orphan] = Object.keys(env).filter((name) => name.startsWith(`${PREFIX}S3_`) && env[name]);
    if (orphan === undefined) return null;
    throw new ConfigError(
      `${orphan} is set, but ${PREFIX}S3_BUCKET is not: bytes would go to the data folder. Unset it, or name the bucket.`,
    );
  }
  return {
    bucket: values.S3_BUCKET,
    endpoint: values.S3_ENDPOINT ?? null,
    publicEndpoint: values.S3_PUBLIC_ENDPOINT ?? null,
    region: values.S3_REGION,
    prefix: values.S3_PREFIX ?? null,
    forcePathStyle: values.S3_FORCE_PATH_STYLE,
    credentials: keyPair(
      'S3_ACCESS_KEY_ID',
      values.S3_ACCESS_KEY_ID,
      'S3_SECRET_ACCESS_KEY',
      values.S3_SECRET_ACCESS_KEY,
    ),
    uploadCredentials: keyPair(
      'S3_UPLOAD_ACCESS_KEY_ID',
      values.S3_UPLOAD_ACCESS_KEY_ID,
      'S3_UPLOAD_SECRET_ACCESS_KEY',
      values.S3_UPLOAD_SECRET_ACCESS_KEY,
    ),
    verify: values.S3_VERIFY,
    objectLock: values.S3_OBJECT_LOCK,
    proxies: proxyEnvOf(env),
  };
}

function keyPair(
  idName: string,
  accessKeyId: string | undefined,
  secretName: string,
  secretAccessKey: string | undefined,
): S3Config['credentials'] {
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  if (accessKeyId === undefined && secretAccessKey === undefined) return null;
  const [present, absent] = accessKeyId === undefined ? [secretName, idName] : [idName, secretName];
  throw new ConfigError(`${PREFIX}${present} is set, but ${PREFIX}${absent} is not: a key has both.`);
}

/**
 * The built-in classes, with those of the file put over them: class → days, or null for never, or both with file rules.
 * @param text the file's content @throws ConfigError
 */
export function parseRetentionClasses(text: string, file: string): RetentionClasses {
  const days = z.int().min(0).max(36_500);
  const rule = z.strictObject({ path: z.string(), days });
  const Class = z.union([days.nullable(), z.strictObject({ days: days.nullable(), files: z.array(rule).default([]) })]);
  const Classes = z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/), Class);
  const wrong = (why: string) => new ConfigError(`${PREFIX}RETENTION_CLASSES: ${file} ${why}.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong(`is not JSON (${(error as Error).message})`);
  }
  const classes = Classes.safeParse(parsed);
  if (classes.success) {
    for (const [name, value] of Object.entries(classes.data)) {
      const problem = fileRulesProblem(classOf(value).files);
      if (problem !== null) throw wrong(`is wrong: ${name} ${problem}`);
    }
    return { ...DEFAULT_RETENTION_CLASSES, ...classes.data };
  }
  const issue = classes.error.issues[0];
  throw wrong(
    `must map class names to days (0 to 36500), null, or {"days": …, "files": [{"path": …, "days": …}]}: ${issue?.path.join('.')} ${issue?.message}`,
  );
}
