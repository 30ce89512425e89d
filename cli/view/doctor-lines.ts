import type { Diagnosis, Readiness } from '../../src/api/types.ts';
import type { ApiClient } from '../client/api/api-client.ts';
import type { Outcome } from '../command.ts';
import { ApiError, type CliError, EXIT, toCliError } from '../errors.ts';
import { printable } from '../format.ts';

type Check = Diagnosis['checks'][number];

const MARKS: Record<Check['level'], string> = { ok: 'ok  ', note: 'note', warning: 'WARN', failure: 'FAIL' };

/** What the service says of itself and its surroundings, in words; to strangers, what `/readyz` says to everybody. */
export async function examine(client: ApiClient): Promise<Outcome> {
  const readiness = await client.operations.readiness();
  const told = await client.operations.diagnosis().then(
    ({ checks }) => ({ checks, access: null }),
    (error: unknown) => {
      if (error instanceof ApiError) return { checks: publicChecks(readiness), access: toCliError(error) };
      throw error;
    },
  );
  const { access, checks } = told;
  const answers = `${client.url} answers: artifact-store ${readiness.version ?? '(which one, it tells only those with a token)'}`;
  const all: Check[] = [check('service', true, answers), ...checks, accessCheck(access)];
  return {
    json: {
      url: client.url,
      ...readiness,
      access: access === null ? { ok: true } : { ok: false, code: access.code, detail: access.message },
      checks: all,
    },
    text: all.flatMap(linesOf).join('\n'),
    exit: readiness.status === 'ready' && all.every(({ level }) => level !== 'failure') ? EXIT.done : EXIT.failed,
  };
}

/** A check, and below it what to change. */
export function linesOf({ level, says, advice }: Check): string[] {
  const line = `${MARKS[level]} ${printable(says)}`;
  return advice === null ? [line] : [line, `     → ${printable(advice)}`];
}

function publicChecks({ registry, blob_store: blobs }: Readiness): Check[] {
  // Strangers are told no more where tokens are in use.
  if (registry === undefined || blobs === undefined) return [];
  return [
    check('registry', registry.ok, `registry (${registry.kind}): ${answer(registry)}`),
    check('blob_store', blobs.ok, `blob store (${blobs.kind}): ${answer(blobs)}`),
  ];
}

function accessCheck(access: CliError | null): Check {
  if (access === null) return check('access', true, 'The service takes requests from this caller.');
  return { ...check('access', false, `access: ${access.message}`), advice: access.next ?? null };
}

function check(name: string, ok: boolean, says: string): Check {
  return { name, level: ok ? 'ok' : 'failure', says, advice: null };
}

function answer({
  ok,
  latency_ms,
  error,
}: Pick<NonNullable<Readiness['registry']>, 'ok' | 'latency_ms' | 'error'>): string {
  return ok ? `answers in ${Math.round(latency_ms)} ms` : (error ?? 'does not answer');
}
