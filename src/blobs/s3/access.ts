import { setMaxListeners } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { StoreError } from '../../core/errors.ts';
import { agentProxy, type ProxyEnv, proxyFor } from '../../core/proxy.ts';
import { awsEndpoint, type BucketAddress, bucketAddress } from './bucket-address.ts';
import { type KeyNames, keyNames } from './key-names.ts';
import type { S3Options } from './options.ts';
import { type UrlSigning, urlSigning } from './url-signing.ts';

/** Everything that talks to the bucket, made once from the options. */
export interface S3Access {
  bucket: string;
  names: KeyNames;
  client: S3Client;
  /** Sends every request once and on a connection of its own: for CompleteMultipartUpload. */
  once: S3Client;
  /** Signs downloads for the public endpoint; never sends anything. */
  downloads: S3Client;
  /** For the service's own requests. */
  internal: BucketAddress;
  /** For everybody else's. */
  public: BucketAddress;
  signing: UrlSigning;
  /** With the upload-only key, where there is one. */
  uploadSigning: UrlSigning;
  hasUploadKey: boolean;
  /** For requests to the internal address that do not go through the SDK. */
  agent: HttpAgent;
  /** For one request, on a connection of its own, to either address. */
  loneAgent: (url: string) => HttpAgent;
  clock: () => number;
  /** Aborted by `close`. */
  closed: AbortSignal;
  /** Ends everything in flight: nobody waits for storage any more. */
  close(): void;
}

/** How long URLs live for requests that the service sends itself, one after the other. */
export const OWN_URL_MS = 900_000;
const CONNECT_MS = 10_000;
const ANSWER_MS = 60_000;
/** Storage puts up to 10,000 parts together before it answers. */
const COMPLETION_MS = 600_000;
const CONNECTIONS = 128;

/** No I/O. @throws TypeError, RangeError, ProxySettingError for options that cannot be */
export function openAccess(options: S3Options): S3Access {
  const { bucket, region, clock, credentials, uploadCredentials, proxies = {} } = options;
  const common: S3ClientConfig = {
    region,
    forcePathStyle: options.forcePathStyle,
    ...(credentials === null ? {} : { credentials }),
    // The default adds a CRC32 to every request; in a signed URL, that of an empty body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  };
  const endpoint = options.endpoint ?? awsEndpoint(region);
  const publicEndpoint = options.publicEndpoint ?? endpoint;
  const internal = bucketAddress(endpoint, options);
  const internalUrl = `${internal.protocol}//${internal.host}`;
  const kept = agentsFor(internalUrl, proxies, { keepAlive: true, maxSockets: CONNECTIONS });
  const client = new S3Client({
    ...common,
    endpoint,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      socketTimeout: ANSWER_MS,
      ...kept,
    },
  });
  const once = new S3Client({
    ...common,
    endpoint,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: COMPLETION_MS,
      throwOnRequestTimeout: true,
      socketTimeout: COMPLETION_MS,
      // A kept connection may be closed by the gateway just now: that would be an unclean answer for nothing.
      ...agentsFor(internalUrl, proxies, { keepAlive: false }),
    },
  });
  const downloads = new S3Client({ ...common, endpoint: publicEndpoint });
  const agent = agentOf(agentsFor(internalUrl, proxies, { keepAlive: true, maxSockets: CONNECTIONS }), internalUrl);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  for (const each of [client, once]) endWith(each, closing.signal);
  const signing = urlSigning(region, () => client.config.credentials(), clock);
  return {
    bucket,
    names: keyNames(options.prefix),
    client,
    once,
    downloads,
    internal,
    public: bucketAddress(publicEndpoint, options),
    signing,
    uploadSigning: uploadCredentials === null ? signing : urlSigning(region, async () => uploadCredentials, clock),
    hasUploadKey: uploadCredentials !== null,
    agent,
    loneAgent: (url) => agentOf(agentsFor(url, proxies, { keepAlive: false }), url),
    clock,
    closed: closing.signal,
    close() {
      closing.abort(new StoreError('unavailable', 'The service is stopping.'));
      for (const each of [client, once, downloads]) each.destroy();
      agent.destroy();
    },
  };
}

interface Agents {
  httpAgent: HttpAgent;
  httpsAgent: HttpsAgent;
}

/** Through the proxy that leads there. */
function agentsFor(url: string, proxies: ProxyEnv, options: { keepAlive: boolean; maxSockets?: number }): Agents {
  const all = { ...options, ...agentProxy(proxyFor(new URL(url), proxies)) };
  return { httpAgent: new HttpAgent(all), httpsAgent: new HttpsAgent(all) };
}

function agentOf({ httpAgent, httpsAgent }: Agents, url: string): HttpAgent {
  return url.startsWith('https:') ? httpsAgent : httpAgent;
}

/** No request of the client is waited for any longer than this. */
function endWith({ middlewareStack }: S3Client, signal: AbortSignal): void {
  middlewareStack.add(
    (next) => async (args) => {
      signal.throwIfAborted();
      const { promise: closed, reject } = Promise.withResolvers<never>();
      const end = (): void => reject(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      try {
        return await Promise.race([next(args), closed]);
      } finally {
        signal.removeEventListener('abort', end);
      }
    },
    { step: 'initialize', name: 'endWithAccess' },
  );
}
