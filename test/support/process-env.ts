/**
 * The environment of a process that a test starts: what every process needs, and what the test gives it. What V8 compiled is
 * shared by all processes of one `npm test` (run.ts), and never kept in the user's cache.
 */
export function processEnv(env: Record<string, string> = {}): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const compiled: Record<string, string> =
    NODE_COMPILE_CACHE === undefined ? { NODE_DISABLE_COMPILE_CACHE: '1' } : { NODE_COMPILE_CACHE };
  return { PATH, ...compiled, ...env };
}
