import type { HttpProxy } from '../../../src/core/proxy.ts';
import { CliError, EXIT } from '../../errors.ts';
import { LinkLocalRefused } from './connections.ts';
import { tunnelStatus } from './failure-rules.ts';
import { proxyLogin } from './problem.ts';

/** Whoever could not be asked. */
export interface Unreached {
  who: 'service' | 'storage';
  url: string;
  /** The way to it. */
  proxy: HttpProxy | null;
  /** What to do when nothing more is known. */
  next: string;
  /** `Cannot reach the service at …`, when it is not that. */
  sentence?: string;
  extras?: Record<string, unknown>;
}

const CERTIFICATES: Record<string, { says: string; next: string }> = {
  CERT_HAS_EXPIRED: {
    says: 'has expired',
    next: 'Have it renewed, and check the clock of this machine.',
  },
  CERT_NOT_YET_VALID: { says: 'is not valid yet', next: 'Check the clock of this machine.' },
  ERR_TLS_CERT_ALTNAME_INVALID: { says: 'is for another name', next: 'Use the name in the certificate.' },
};
const UNTRUSTED = {
  says: 'is not signed by a CA that this machine trusts',
  next: 'Name the file with that CA (PEM) in NODE_EXTRA_CA_CERTS.',
};
const IS_CERTIFICATE = /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Why nobody answered, as the error that ends the command: what is wrong, and what to change. */
export function noConnection(unreached: Unreached, error: unknown): CliError {
  const { who, url, proxy } = unreached;
  const { origin } = new URL(url);
  const code = (error as { code?: string }).code ?? '';
  const told = (message: string, next: string): CliError =>
    new CliError(message, {
      exit: EXIT.unreachable,
      code: 'unreachable',
      next,
      extras: { url: who === 'service' ? url : origin, ...unreached.extras },
      cause: error,
    });
  const refused = linkLocalOf(error);
  if (refused) {
    return told(
      `The ${who} at ${origin} is not contacted: ${refused.message}.`,
      'Neither a service nor storage is allowed there.',
    );
  }
  if (IS_CERTIFICATE.test(code)) {
    const { says, next } = CERTIFICATES[code] ?? UNTRUSTED;
    return told(`The certificate of the ${who} at ${origin} ${says} (${code}).`, next);
  }
  if (tunnelStatus(error) === 407) return proxyLogin(origin);
  const reason = reasonOf(error);
  const sentence = unreached.sentence ?? `Cannot reach the ${who} at ${who === 'service' ? url : origin}`;
  if (proxy !== null) {
    return told(
      `${sentence} through the proxy ${proxy.shown}, which ${proxy.variable} names (${reason}).`,
      `Correct ${proxy.variable}, or list the host in NO_PROXY if it is reached without a proxy.`,
    );
  }
  return told(`${sentence} (${reason}).`, unreached.next);
}

/** The port speaks the other one of http and https. */
export function otherProtocol(url: string): CliError {
  const [asked, speaks] = url.startsWith('https:') ? ['https', 'http'] : ['http', 'https'];
  const right = url.replace(/^https?/, speaks);
  return new CliError(`${url} was contacted over ${asked}, but that port speaks ${speaks}: use ${right}.`, {
    exit: EXIT.unreachable,
    code: 'unreachable',
    extras: { url },
  });
}

/** OpenSSL's own lines are for its authors. */
function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === 'ERR_PROXY_TUNNEL') return message ?? code;
  if (code === 'EPROTO' || code?.startsWith('ERR_SSL_')) return 'the server there does not speak TLS correctly';
  if (code?.startsWith('HPE_')) return 'the server there does not speak HTTP';
  return code ?? message ?? 'unknown';
}

function linkLocalOf(error: unknown): LinkLocalRefused | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof LinkLocalRefused) return at;
  return null;
}
