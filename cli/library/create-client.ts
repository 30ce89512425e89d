import type { JsonObject } from '../../src/core/canonical-json.ts';
import { VERSION } from '../../src/version.ts';
import { ApiClient } from '../client/api/api-client.ts';
import { pullPackage } from '../client/pull/pull.ts';
import { verifyPackage } from '../client/pull/verify.ts';
import { pushDirectory } from '../client/push/push.ts';
import { githubIdentity, parseToken } from '../credentials.ts';
import { usageError } from '../errors.ts';
import { ArtifactStoreError, toClientError } from './error.ts';
import { packagesOf } from './packages.ts';
import { openForProgram, readWhole } from './read-file.ts';
import { retentionOf } from './retention.ts';
import type { Run, Stream } from './run.ts';
import type { Client, ClientOptions, PushOptions, WatchedOptions } from './types.ts';
import { waitForFinalized } from './wait.ts';
import { watched } from './watched.ts';

/** @throws ArtifactStoreError `wrong_usage` for a URL or a token that is none */
export function createClient(options: ClientOptions): Client {
  const closing = new AbortController();
  const api = openApi(options, closing.signal);
  const env = options.env ?? process.env;

  function endedBy(signal: AbortSignal | undefined): ApiClient {
    const any = AbortSignal.any(signal === undefined ? [closing.signal] : [closing.signal, signal]);
    any.throwIfAborted();
    return api.endedBy(any);
  }

  const run: Run = async (signal, work) => {
    const job = endedBy(signal);
    try {
      return await work(job);
    } catch (error) {
      job.signal.throwIfAborted();
      throw toClientError(error);
    }
  };

  const stream: Stream = async function* (signal, work) {
    const job = endedBy(signal);
    try {
      yield* work(job);
    } catch (error) {
      job.signal.throwIfAborted();
      throw toClientError(error);
    }
  };

  return {
    url: api.url,
    packages: packagesOf(run, stream),
    retention: retentionOf(run),
    push: (directory, { signal, onProgress, onWarning, ...asked }) =>
      run(signal, (job) =>
        watched(onProgress, async (watch) => {
          const progress = { watch, note: options.onNote, warn: onWarning };
          const { package_id: id, ...pushed } = await pushDirectory(job, orderOf(directory, asked), progress, env);
          return { id, ...pushed };
        }),
      ),
    pull: (id, directory, { signal, onProgress, ...asked } = {}) =>
      run(signal, (job) =>
        watched(onProgress, async (watch) =>
          pullPackage(job, await job.getPackage(id), { ...asked, directory }, watch),
        ),
      ),
    verify: (id, { signal, onProgress } = {}) =>
      run(signal, (job) =>
        watched(onProgress, async (watch) => {
          const { deleted, ...verified } = await verifyPackage(job, await job.getPackage(id), watch);
          return { ...verified, deleted: deleted.length };
        }),
      ),
    openFile: (id, path, asked = {}) => openForProgram({ run, stream }, id, path, asked),
    readFile: (id, path, asked = {}) => run(asked.signal, (job) => readWhole(job, id, path, asked)),
    waitForFinalized: (id, asked = {}) => run(asked.signal, (job) => waitForFinalized(job, id, asked)),
    close: () => {
      closing.abort(new ArtifactStoreError('The client was closed.', { code: 'client_closed' }));
      api.close();
    },
  };
}

function openApi({ url, token, identity, userAgent, env = process.env, onNote }: ClientOptions, signal: AbortSignal) {
  try {
    if (token !== undefined && identity !== undefined) {
      throw usageError('`token` and `identity` are two ways to say who you are: give one of them.');
    }
    return new ApiClient({
      url,
      token: parseToken('`token`', token),
      identity: identity === undefined ? undefined : githubIdentity(env, identity.audience),
      userAgent: `${userAgent === undefined ? '' : `${userAgent} `}artifact-store/${VERSION}`,
      signal,
      env,
      ...(onNote === undefined ? {} : { tell: onNote }),
    });
  } catch (error) {
    throw toClientError(error);
  }
}

/** Metadata that is no JSON is refused where it is written down. */
function orderOf(directory: string, { metadata, ...asked }: Omit<PushOptions, keyof WatchedOptions | 'onWarning'>) {
  return { ...asked, directory, metadata: metadata as JsonObject | undefined };
}
