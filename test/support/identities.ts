import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { IssuerTimes } from '../../src/oidc/issuer-keys.ts';
import { JOB, type TestIssuer } from './issuer.ts';
import { startTestService, type TestService } from './service.ts';
import { tempFolder } from './temp.ts';

export const ADMIN_TOKEN = 'an-admin-token-of-tests';

/** One that matches JOB. */
export const NIGHTLY = {
  name: 'nightly of acme/tool',
  claims: { repository_id: JOB.repository_id, repository_owner_id: JOB.repository_owner_id, ref: JOB.ref },
  producers: ['nightly-build'],
  scopes: ['packages:read', 'packages:write'],
};

/** A file of rules that trusts this issuer. @returns its path */
export async function writeRules(
  t: ExecutionContext,
  { url, audience }: TestIssuer,
  more: object = {},
): Promise<string> {
  const file = join(await tempFolder(t), 'identities.json');
  const issuer = { name: 'github', issuer: url, platform: 'github', audience, rules: [NIGHTLY], ...more };
  await writeFile(file, JSON.stringify({ issuers: [issuer] }));
  return file;
}

export interface IdentityService extends TestService {
  /** What was logged of tokens and issuers. */
  logged: Array<{ message: string; [field: string]: unknown }>;
}

/** The service with a file of rules. */
export async function startIdentityService(
  t: ExecutionContext,
  file: string,
  issuerTimes: Partial<IssuerTimes> = {},
): Promise<IdentityService> {
  const logged: IdentityService['logged'] = [];
  const note = (fields: object, message: string): void => {
    logged.push({ ...fields, message });
  };
  const log = { debug: note, info: note, warn: note, error: note };
  const env = { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN, ARTIFACT_STORE_OIDC_RULES: file };
  const service = await startTestService({ env, log, issuerTimes });
  t.teardown(() => service.dispose());
  return { ...service, logged };
}
