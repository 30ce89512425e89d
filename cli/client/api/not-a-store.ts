import { CliError, EXIT } from '../../errors.ts';

/** Something else answers at the service's URL. @param why what it does, half a sentence */
export function notAStore(url: string, why: string): CliError {
  const next = 'Check the URL (--url, ARTIFACT_STORE_URL): the service answers below it at /v1.';
  const options = { exit: EXIT.unreachable, code: 'unreachable', next, extras: { url } } as const;
  return new CliError(`${url} did not answer as an artifact-store does: ${why}.`, options);
}
