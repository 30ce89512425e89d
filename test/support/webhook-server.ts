import { loadConfig } from '../../src/config.ts';
import { startService } from '../../src/server.ts';

/** The real service in a process of its own, which looks often whether there is something to send. */
const env = JSON.parse(process.argv[2] as string) as Record<string, string>;
const { url } = await startService(loadConfig(env), { webhooks: { look: 20 } });
process.send?.({ url });
