import { readFileSync } from 'node:fs';

/** What should stand neither in a unit, nor in a manifest, nor in the environment that child processes and /proc show. */
export const SECRETS = [
  'DATABASE_URL',
  'S3_SECRET_ACCESS_KEY',
  'S3_UPLOAD_SECRET_ACCESS_KEY',
  'SIGNING_KEY',
  'ADMIN_TOKEN',
] as const;

type Env = Readonly<Record<string, string | undefined>>;

/** The files that hold secrets, by the secret's own variable: credentials of systemd, secrets of Kubernetes and Docker. */
export function secretFiles(env: Env, prefix: string): Map<string, string> {
  const named = SECRETS.map((name) => [prefix + name, env[`${prefix}${name}_FILE`] ?? ''] as const);
  return new Map(named.filter(([, file]) => file !== ''));
}

/**
 * The environment with each secret that a file holds in its place; a line break at the end, which editors put there, is not of it.
 * @param problems is given what is wrong, in words that name the variable
 */
export function withSecrets(env: Env, prefix: string, problems: string[]): Env {
  const read: Record<string, string> = {};
  for (const [name, file] of secretFiles(env, prefix)) {
    if (env[name]) problems.push(`${name} and ${name}_FILE are both set: unset one of them`);
    else {
      const text = contentOf(file);
      if (text instanceof Error) problems.push(`${name}_FILE cannot be read (${text.message})`);
      else if (text === '') problems.push(`${name}_FILE: ${file} is empty`);
      else read[name] = text;
    }
  }
  return { ...env, ...read };
}

function contentOf(file: string): string | Error {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    return error as Error;
  }
}
