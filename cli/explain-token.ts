import { readIdentities } from '../src/configured-identities.ts';
import { proxyEnvOf } from '../src/core/proxy.ts';
import { type Examined, examineToken, isJwt } from '../src/oidc/examine-token.ts';
import { issuersWithKeys } from '../src/oidc/identities.ts';
import { usageError } from './errors.ts';

/** Characters of a JWT: no header could carry more. */
const JWT_MAX = 64 * 1024;

/**
 * What the service with this file of rules would say to the JWT: the same code, on this machine, with the keys of the issuer.
 * @param file the rules @throws CliError wrong_usage, ConfigError
 */
export async function explainToken(
  text: string,
  file: string,
  env: Record<string, string | undefined>,
): Promise<Examined> {
  const issuers = await readIdentities(file);
  const jwt = text.trim();
  if (jwt.length > JWT_MAX || !isJwt(jwt)) {
    throw usageError('This is no JWT: three words of letters, digits, - and _ with dots between them.');
  }
  const log = { info: () => {}, warn: () => {} };
  return examineToken(jwt, issuersWithKeys({ issuers, proxies: proxyEnvOf(env), log }));
}

/** All of stdin, and no more than a JWT can have. */
export async function readJwt(stdin: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const piece of stdin) {
    text += piece.toString('latin1');
    if (text.length > JWT_MAX) break;
  }
  return text;
}
