import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { agentProxy, type ProxyEnv, proxyFor } from './core/proxy.ts';
import { TIME_STAMP_MAX, TIME_STAMP_REPLY } from './core/time-stamp.ts';
import type { TimeStampAuthority } from './usecases/stamp-checkpoint.ts';

/** How long an answer may take; ms. */
const PATIENCE_MS = 10_000;

/**
 * An RFC 3161 authority over HTTP (3.4). It follows no redirects: what is configured is what is asked.
 * @throws ProxySettingError
 */
export function timeStampAuthority(url: string, proxies: ProxyEnv, patience: number = PATIENCE_MS): TimeStampAuthority {
  const options = agentProxy(proxyFor(new URL(url), proxies));
  const agent = { http: new HttpAgent(options), https: new HttpsAgent(options) };
  return async (request, signal) => {
    // Few services ask an authority.
    const { default: got } = await import('got');
    const answer = got.stream.post(url, {
      agent,
      body: request,
      headers: { 'content-type': 'application/timestamp-query', accept: TIME_STAMP_REPLY },
      decompress: false,
      followRedirect: false,
      retry: { limit: 0 },
      signal,
      throwHttpErrors: false,
      timeout: { request: patience },
    });
    try {
      const [{ statusCode, headers }] = (await once(answer, 'response')) as [IncomingMessage];
      const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? 'without a type';
      if (statusCode !== 200 || type !== TIME_STAMP_REPLY)
        throw new Error(`${url} has answered ${statusCode}, ${type}, where a time stamp belongs.`);
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > TIME_STAMP_MAX) throw new Error(`${url} has answered more than ${TIME_STAMP_MAX} bytes.`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } finally {
      answer.destroy();
    }
  };
}
