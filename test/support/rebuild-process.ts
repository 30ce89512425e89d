import { loadConfig } from '../../src/config.ts';
import { rebuildRegistry } from '../../src/rebuild-registry.ts';

/** Rebuilds what the environment names, and is killed after so many steps; 0: never. Says how many there were. */
const [left = '0'] = process.argv.slice(2);
let steps = 0;
await rebuildRegistry(loadConfig(process.env), {
  signal: new AbortController().signal,
  tell() {
    steps += 1;
    if (steps === Number(left)) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(String(steps));
