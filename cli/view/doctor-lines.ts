import type { Readiness } from '../../src/api/types.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Outcome } from '../command.ts';
import { ApiError, EXIT, toCliError } from '../errors.ts';
import { formatBytes, printable } from '../format.ts';

/** Readiness and access, in words. */
export async function examine(client: ApiClient): Promise<Outcome> {
  const readiness = await client.readiness();
  const access = await client.limits().then(
    () => null,
    (error: unknown) => {
      if (error instanceof ApiError) return toCliError(error);
      throw error;
    },
  );
  const { registry, blob_store: blobs, version } = readiness;
  const lines = [
    `ok   ${client.url} answers: artifact-store ${printable(version)}`,
    `${mark(registry.ok)} registry (${registry.kind}${registry.schema === null ? '' : `, schema ${registry.schema}`}): ${answer(registry)}`,
    `${mark(blobs.ok)} blob store (${blobs.kind}): ${answer(blobs)}${blobs.free_bytes === null ? '' : `, ${formatBytes(blobs.free_bytes)} free`}`,
    access === null
      ? 'ok   the service takes requests from this caller'
      : `FAIL access: ${access.message} ${access.next ?? ''}`.trimEnd(),
  ];
  const ready = readiness.status === 'ready';
  return {
    json: {
      url: client.url,
      ...readiness,
      access: access === null ? { ok: true } : { ok: false, code: access.code, detail: access.message },
    },
    text: lines.join('\n'),
    exit: !ready ? EXIT.failed : access === null ? EXIT.done : access.exit,
  };
}

function mark(ok: boolean): string {
  return ok ? 'ok  ' : 'FAIL';
}

function answer({ ok, latency_ms, error }: Readiness['registry'] | Readiness['blob_store']): string {
  return ok ? `answers in ${Math.round(latency_ms)} ms` : printable(error ?? 'does not answer');
}
