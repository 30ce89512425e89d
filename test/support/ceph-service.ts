import test from 'ava';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import { POSTGRES } from './postgres.ts';
import { required } from './required.ts';
import { s3Env, uploadKeyEnv } from './s3-env.ts';
import { createBucket } from './s3-harness.ts';
import { S3, type S3Server } from './s3-server.ts';
import { type StartTestService, startTestService } from './service.ts';

/**
 * Runs a suite of the whole service on PostgreSQL and a real S3 server: a database and a bucket for each data folder. A bucket is probed
 * for the first service, and found to be the same for the others: a probe costs as much as a test.
 */
export async function onCeph(name: string, suite: (start: StartTestService, server: S3Server) => void): Promise<void> {
  const server = await required(`The suite ${name} on PostgreSQL and S3`, S3);
  const postgres = server && (await required(`The suite ${name} on PostgreSQL and S3`, POSTGRES));
  if (!server || !postgres) return;
  test.after.always('the S3 server ends', () => server.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  const pairs = new Map<string, Record<string, string>>();
  let probed: ReturnType<typeof probeBackend> | null = null;
  const probe: typeof probeBackend = async (options) => {
    probed ??= probeBackend(options);
    const report = await probed;
    if (report.problem !== null) probed = null;
    return { ...report, probedAt: options.clock() };
  };
  suite(async (options = {}) => {
    const known = options.dataDir === undefined ? undefined : pairs.get(options.dataDir);
    const pair = known ?? {
      ARTIFACT_STORE_DATABASE_URL: await postgres.createMigrated(),
      ...s3Env(server, await createBucket(server)),
      ...uploadKeyEnv(server),
    };
    const isUsual = !Object.keys(options.env ?? {}).some((name) => name.startsWith('ARTIFACT_STORE_S3_'));
    const service = await startTestService({
      ...(isUsual ? { probe } : {}),
      ...options,
      env: { ...pair, ...options.env },
    });
    pairs.set(service.dataDir, pair);
    return service;
  }, server);
}
