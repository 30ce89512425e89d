import { connectSqlite } from '../../src/registry/connect.ts';
import { migrate } from '../../src/registry/migrate.ts';

/** Migrates the SQLite file of its first argument; with `die`, kills itself in the middle. */
const [file, fate] = process.argv.slice(2);
const db = connectSqlite(file as string);
let statements = 0;
db.on('query', ({ sql }: { sql: string }) => {
  if (fate === 'die' && /^create table `?uploads/i.test(sql)) process.kill(process.pid, 'SIGKILL');
  statements++;
});
const { applied } = await migrate(db);
process.send?.(applied, () => process.exit(statements > 0 ? 0 : 1));
