import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { migrate } from '../../src/registry/migrate.ts';

/**
 * Migrates the SQLite file or the PostgreSQL database of its first argument; kills itself at a statement that the second one
 * matches, a regular expression.
 */
const [place = '', deadly] = process.argv.slice(2);
const db = place.startsWith('postgres://') ? connectPostgres(place) : connectSqlite(place);
let statements = 0;
db.on('query', ({ sql }: { sql: string }) => {
  if (deadly !== undefined && new RegExp(deadly, 'i').test(sql)) process.kill(process.pid, 'SIGKILL');
  statements++;
});
const { applied } = await migrate(db);
process.send?.(applied, () => process.exit(statements > 0 ? 0 : 1));
