import { loadConfig } from '../../src/config.ts';
import { startService } from '../../src/server.ts';

/** The real service of the environment. It is killed when storage has taken so many locks, before the registry hears of the last. */
const [left = '1'] = process.argv.slice(2);
let taken = 0;
const { services, url } = await startService(loadConfig(process.env), { commitPatience: 60_000 });
const { locks } = services.blobs;
if (locks === null) throw new Error('this service locks nothing');
const { retain } = locks;
Object.assign(locks, {
  retain: async (...args: Parameters<typeof retain>) => {
    await retain(...args);
    taken += 1;
    if (taken === Number(left)) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(url);
