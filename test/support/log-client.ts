import { ApiClient } from '../../cli/client/api/api-client.ts';
import { newestCheckpoint } from '../../cli/client/audit/newest-checkpoint.ts';
import type { Evidence } from '../../cli/client/audit/read-evidence.ts';
import { signersOf } from '../../cli/client/audit/signers.ts';
import { type LogVerification, verifyLog } from '../../cli/client/audit/verify-log.ts';

/** What the command line asks of a service about its log, in this process. */
export interface LogClient {
  client: ApiClient;
  /** One that somebody else keeps. */
  keep(): Promise<Evidence>;
  verify(newest: Evidence, kept?: readonly Evidence[]): Promise<LogVerification>;
  close(): void;
}

export function logClientOf(url: string): LogClient {
  const client = new ApiClient({ url, token: null, signal: new AbortController().signal, userAgent: 'tests' });
  return {
    client,
    keep: async () => ({ ...(await newestCheckpoint(client, await signersOf(client, undefined))), from: 'kept' }),
    verify: (newest, kept = []) => verifyLog(client, newest, kept, () => {}),
    close: () => client.close(),
  };
}
