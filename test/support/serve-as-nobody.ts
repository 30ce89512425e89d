import { main } from '../../cli/main.ts';
import '../../cli/commands/serve.ts';
import '../../src/server.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';

/** The command line as an unprivileged user, when root starts it: root may write everywhere. */
if (process.getuid?.() === 0) {
  // After everything is loaded, SQLite's binary too: the checkout may be closed to other users.
  const db = connectSqlite(':memory:');
  await db.raw('select 1');
  await db.destroy();
  process.setgroups?.([]);
  process.setgid?.(65_534);
  process.setuid?.(65_534);
}
process.exit(await main(process));
