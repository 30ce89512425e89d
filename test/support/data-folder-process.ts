import { openDataFolder } from '../../src/blobs/data-folder.ts';

/** Opens the data folder that is its argument, says in one line of JSON how that went, and holds it until it is killed. */
const [, , dir = '', user] = process.argv;
// After everything is loaded: the checkout may be closed to other users.
if (user === 'nobody') {
  process.setgroups?.([]);
  process.setgid?.(65_534);
  process.setuid?.(65_534);
}
try {
  await openDataFolder(dir);
  console.log(JSON.stringify({ opened: true }));
  setInterval(() => {}, 60_000);
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  console.log(JSON.stringify({ code, message }));
}
