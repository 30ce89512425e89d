import { type DestinationStream, pino } from 'pino';
import type { Log } from './usecases/services.ts';

/** Characters of a text; longer ones are cut. */
const TEXT_MAX = 2_000;
const STACK_MAX = 4_000;
/** Causes of an error, and levels and members of other values; the rest is left out. */
const CAUSES_MAX = 5;
const DEPTH_MAX = 4;
const MEMBERS_MAX = 50;

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** Fields of system errors that hold no content. */
const SYSTEM_FIELDS = ['code', 'errno', 'syscall'] as const;

/** Bytes of log that wait for stderr to take them. */
const WAITING_MAX = 1024 ** 2;

/** The service's log, one JSON object per line. @param to default: stderr */
export function openLog(level: string, to: DestinationStream = stderrDestination()): Log {
  // safeLog has serialized errors already; pino's serializer would add fields.
  return safeLog(pino({ level, serializers: { err: (told) => told } }, to));
}

/** A log that cannot be written (a full disk, a reader that went away) is no reason to stop: its newest lines are lost. */
function stderrDestination(): DestinationStream {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: WAITING_MAX });
  destination.on('error', () => {});
  return destination;
}

/**
 * Passes on only what may be logged. Errors, also those nested in other fields, are logged by an allow-list: libraries attach
 * whole requests to them (headers, bodies, bindings). Long values are cut; bytes are logged as their number.
 */
function safeLog(log: Log): Log {
  const safe = {} as Log;
  for (const level of LEVELS) {
    safe[level] = (fields, message) => log[level](safeValue(fields, 0) as object, safeText(message, TEXT_MAX));
  }
  return safe;
}

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return safeText(value, TEXT_MAX);
  if (value instanceof Error) return safeError(value, 0);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `${value.byteLength} bytes`;
  if (value instanceof Date) return value;
  if (depth === DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.slice(0, MEMBERS_MAX).map((member) => safeValue(member, depth + 1));
  const members = Object.entries(value).slice(0, MEMBERS_MAX);
  return Object.fromEntries(members.map(([name, member]) => [name, safeValue(member, depth + 1)]));
}

function safeError(error: Error, causes: number): object {
  const told: Record<string, unknown> = {
    type: safeText(error.name, TEXT_MAX),
    message: safeText(error.message, TEXT_MAX),
  };
  for (const name of SYSTEM_FIELDS) {
    const value = (error as unknown as Record<string, unknown>)[name];
    if (typeof value === 'string') told[name] = safeText(value, TEXT_MAX);
    else if (typeof value === 'number') told[name] = value;
  }
  const status = (error as { $metadata?: { httpStatusCode?: unknown } }).$metadata?.httpStatusCode;
  if (typeof status === 'number') told.storage_status = status;
  told.stack = safeText(String(error.stack ?? ''), STACK_MAX);
  const { cause } = error;
  if (cause instanceof Error && causes < CAUSES_MAX) told.cause = safeError(cause, causes + 1);
  return told;
}

/** Secrets that error messages may quote: credentials and the queries of signed URLs. */
const SECRETS: ReadonlyArray<[RegExp, string]> = [
  [/\b(Bearer|Basic)\s+\S+/gi, '$1 …'],
  [/([?&](?:signature|token|X-Amz-(?:Signature|Credential|Security-Token))=)[^&\s"']+/gi, '$1…'],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:)[^/\s@]+@/gi, '$1…@'],
];

function safeText(text: string, max: number): string {
  // Cut first, so that a long text costs little.
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return SECRETS.reduce((told, [secret, instead]) => told.replace(secret, instead), cut);
}
