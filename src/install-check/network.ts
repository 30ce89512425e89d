import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { probeBackend } from '../blobs/s3/probe.ts';
import type { Config, S3Config } from '../config.ts';
import { placeOfBucket } from '../configured-blobs.ts';
import { readIdentities } from '../configured-identities.ts';
import { readTimeStamp, timeStampRequest } from '../core/time-stamp.ts';
import { askIssuer } from '../oidc/issuer-keys.ts';
import { timeStampAuthority } from '../time-stamp-authority.ts';
import { finding } from '../usecases/diagnose.ts';
import { type Check, failure, messageOf, note, ok, warning } from './check.ts';
import type { DataFolderChecks } from './data-folder.ts';

/** How long an authority may take; ms. */
const AUTHORITY_PATIENCE_MS = 10_000;

/** Whether the service can listen. @param heldBy the service that has the data folder open: the port may be its own */
export async function checkPort({ host, port }: Config, heldBy: DataFolderChecks['heldBy']): Promise<Check[]> {
  const name = 'port';
  const problem = await listenProblem(host, port);
  if (problem === null)
    return [ok(name, port === 0 ? `A free port of ${host} can be had.` : `Port ${port} of ${host} is free.`)];
  if (problem.code === 'EADDRINUSE') {
    const says = `Port ${port} of ${host} is in use`;
    if (heldBy?.url != null && portOf(heldBy.url) === port)
      return [note(name, `${says} by the service that is running.`)];
    return [failure(name, `${says}.`, 'Set ARTIFACT_STORE_PORT to another one, or end what has it: `ss -ltnp`.')];
  }
  const advice =
    problem.code === 'EACCES'
      ? 'Ports below 1024 need a right of their own: use a higher one behind a proxy.'
      : 'Correct ARTIFACT_STORE_HOST: it is an address of this machine.';
  return [failure(name, `The service cannot listen on ${host}:${port} (${problem.message}).`, advice)];
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function listenProblem(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/** The same trials as at start, with objects that are removed again. */
export async function checkBucket(s3: S3Config): Promise<Check[]> {
  const { problem, findings, lock, enforcing } = await probeBackend({ ...s3, clock: Date.now });
  const place = placeOfBucket(s3);
  if (problem !== null) {
    const advice = 'Correct the ARTIFACT_STORE_S3_… variables, the key or its rights: docs/storage-ceph-s3.md.';
    return [failure('storage', `The ${place} could not be tried: ${problem}`, advice)];
  }
  const how = enforcing ? 'it refuses bytes of another digest' : 'what it takes is read back';
  return [
    ok('storage', `The ${place} was written, read and emptied again; ${how}.`),
    ...[...findings, ...lock].map(finding),
  ];
}

/** A real stamp, which is thrown away. */
export async function checkAuthority({ url, proxies }: NonNullable<Config['timeStamps']>): Promise<Check[]> {
  const name = 'timestamp_authority';
  const bytes = randomBytes(32);
  const nonce = randomBytes(8);
  try {
    const ask = timeStampAuthority(url, proxies);
    readTimeStamp(await ask(timeStampRequest(bytes, nonce), AbortSignal.timeout(AUTHORITY_PATIENCE_MS)), bytes, nonce);
    return [ok(name, `${url} gives time stamps.`)];
  } catch (error) {
    const advice =
      'Correct ARTIFACT_STORE_TIMESTAMP_URL, or let the service reach it: it starts without, and asks again.';
    return [warning(name, `${url} gives no time stamp: ${messageOf(error)}`, advice)];
  }
}

export async function checkIssuers({ file, proxies }: NonNullable<Config['identities']>): Promise<Check[]> {
  const issuers = await readIdentities(file).catch(() => []);
  return Promise.all(
    issuers.map(async ({ name, url }) => {
      try {
        await askIssuer(url, proxies);
        return ok('issuer', `The issuer ${name} (${url}) publishes its keys.`);
      } catch (error) {
        const advice = 'Let the service reach it (HTTPS_PROXY, NO_PROXY): until then its jobs get 503.';
        return warning('issuer', `The issuer ${name} cannot be asked for its keys: ${messageOf(error)}`, advice);
      }
    }),
  );
}
