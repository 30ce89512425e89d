import type { GithubIdentity } from './client/api/github-identity.ts';
import { usageError } from './errors.ts';

/**
 * A bearer token as it may stand in a header; shells and files put line breaks around it. Null: there is none.
 * @throws CliError wrong_usage, which names where it came from and not the token
 */
export function parseToken(from: string, text: string | undefined): string | null {
  const token = text?.trim();
  if (token === undefined) return null;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const problem = token === '' ? 'is empty' : 'contains spaces or characters other than ASCII';
  throw usageError(`The token in ${from} ${problem}: it cannot be sent in a header.`, 'Copy it again: it is one word.');
}

/** What GitHub Actions tells a job that may have tokens. @throws CliError wrong_usage when this is none */
export function githubIdentity(env: Record<string, string | undefined>, audience: string | undefined): GithubIdentity {
  const requestUrl = env.ACTIONS_ID_TOKEN_REQUEST_URL ?? '';
  const requestToken = parseToken('ACTIONS_ID_TOKEN_REQUEST_TOKEN', env.ACTIONS_ID_TOKEN_REQUEST_TOKEN || undefined);
  if (URL.canParse(requestUrl) && requestToken !== null) return { requestUrl, requestToken, audience };
  throw usageError(
    'This is no job of GitHub Actions that may have tokens: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not both set.',
    'Give the job `permissions: { id-token: write }`. A pull request from a fork never has it.',
  );
}
