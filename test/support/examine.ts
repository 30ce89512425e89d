import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import type { Diagnosis, Readiness } from '../../src/api/types.ts';
import { apiOf } from './api.ts';
import { runCli } from './cli-child.ts';
import { startTestService, type TestServiceOptions } from './service.ts';

const TOKEN = `token-${randomBytes(12).toString('hex')}`;

export interface Examined {
  code: number | null;
  text: string;
  checks: Map<string, Diagnosis['checks'][number]>;
  readiness: Required<Readiness>;
}

/**
 * What operators are told of a service: with the token by `doctor`, without it by `/readyz`.
 * @param secrets stand nowhere @param names operators are told, strangers are not
 */
export async function examine(
  t: ExecutionContext,
  options: TestServiceOptions,
  secrets: string[],
  names: string[] = [],
): Promise<Examined> {
  const service = await startTestService({ ...options, env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN, ...options.env } });
  t.teardown(() => service.dispose());
  const env = { ARTIFACT_STORE_URL: service.url, ARTIFACT_STORE_TOKEN: TOKEN };
  const plain = await runCli(['doctor'], { env });
  const json = await runCli(['doctor', '--json'], { env });
  const { body } = await apiOf(service.url).get('/readyz');
  const stranger = await runCli(['doctor'], { env: { ARTIFACT_STORE_URL: service.url } });
  t.is(json.code, plain.code);
  for (const secret of [...secrets, TOKEN]) {
    t.false((plain.stdout + json.stdout + JSON.stringify(body)).includes(secret), secret);
  }
  for (const name of [...names, service.dataDir]) {
    t.true(plain.stdout.includes(name), `the operator is told of ${name}: ${plain.stdout}`);
    t.false((JSON.stringify(body) + stranger.stdout).includes(name), `strangers are not told of ${name}`);
  }
  const checks = new Map((json.json.checks as Diagnosis['checks']).map((check) => [check.name, check]));
  return { code: plain.code, text: plain.stdout, checks, readiness: body };
}
