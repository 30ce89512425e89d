import type { ApiClient } from '../client/api/api-client.ts';

/** Does work that a signal, or the end of the client, ends; what it throws is as programs see it. */
export type Run = <T>(signal: AbortSignal | undefined, work: (job: ApiClient) => Promise<T>) => Promise<T>;

/** The same for what comes one by one. */
export type Stream = <T>(
  signal: AbortSignal | undefined,
  work: (job: ApiClient) => AsyncIterable<T>,
) => AsyncGenerator<T, void>;
