/** knex's dialects, which it has no types for: each file that uses one says what it uses of it. */
declare module 'knex/lib/dialects/*' {
  const dialect: unknown;
  export default dialect;
}
