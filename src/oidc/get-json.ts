import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isLinkLocal, isLoopbackHost } from '../core/ip-address.ts';
import { agentProxy, type ProxyEnv, proxyFor } from '../core/proxy.ts';

/** What an issuer says of itself cannot be had; the message names the URL and says why. */
export class IssuerError extends Error {
  override readonly name = 'IssuerError';
}

/** Bytes of an answer: GitHub's keys are 20 kB. */
const ANSWER_MAX = 256 * 1024;

/**
 * The JSON at this URL, whatever media type it says it has. Redirects are not followed: keys come from where the issuer says.
 * @throws IssuerError
 */
export async function getJson(url: string, proxies: ProxyEnv, signal: AbortSignal): Promise<unknown> {
  const at = URL.canParse(url) ? new URL(url) : null;
  if (at === null || !isSafe(at)) throw new IssuerError(`${url} is no https:// URL`);
  let text: string;
  try {
    const answer = await send(at, proxies, signal);
    text = await bodyOf(answer, at);
  } catch (error) {
    if (error instanceof IssuerError) throw error;
    const why = signal.aborted ? 'did not answer in time' : `cannot be reached (${(error as Error).message})`;
    throw new IssuerError(`${at.href} ${why}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new IssuerError(`${at.href} answered with something that is not JSON`, { cause: error });
  }
}

/** Whoever can change keys on their way can be everybody. */
function isSafe({ protocol, hostname, username, password }: URL): boolean {
  if (username !== '' || password !== '' || isLinkLocal(hostname)) return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
}

/** The answer, on a connection of its own: keys are asked for every few minutes. */
function send(url: URL, proxies: ProxyEnv, signal: AbortSignal): Promise<IncomingMessage> {
  const options = { keepAlive: false, ...agentProxy(proxyFor(url, proxies)) };
  const [request, agent] =
    url.protocol === 'https:' ? [requestHttps, new HttpsAgent(options)] : [requestHttp, new HttpAgent(options)];
  return new Promise((resolve, reject) => {
    request(url, { agent, signal, headers: { accept: 'application/json' } }, resolve)
      .on('error', reject)
      .end();
  });
}

async function bodyOf(answer: IncomingMessage, url: URL): Promise<string> {
  try {
    if (answer.statusCode !== 200) throw new IssuerError(`${url.href} answered ${answer.statusCode}`);
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of answer as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > ANSWER_MAX) throw new IssuerError(`${url.href} answered with more than ${ANSWER_MAX} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString();
  } finally {
    answer.destroy();
  }
}
