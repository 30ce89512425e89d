import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../../src/config.ts';
import { startService } from '../../../src/server.ts';
import { recover } from '../../../src/usecases/recover.ts';

/** The real service on PostgreSQL and S3, as a process of its own that a soak kills and freezes. */
export interface SoakServerOptions {
  env: Record<string, string>;
  /** Holds the milliseconds to add to the registry's time: the same for all replicas. */
  timeFile: string;
}

const KIB = 1024;
/** Small, so that a small push has packs, parts and frames, and what is rewritten goes while the soak runs. Bytes, seconds. */
const LIMITS = {
  single_part_max: 5 * KIB ** 2,
  part_size: 5 * KIB ** 2,
  pack_member_max: 32 * KIB,
  pack_members_max: 20,
  pack_target: 128 * KIB,
  url_lifetime: 10,
};
/** In the place of a minute. */
const RECOVERY_PAUSE_MS = 1_000;

const options = JSON.parse(process.argv[2] as string) as SoakServerOptions;
const { services, settled, url } = await startService(loadConfig(options.env), {
  limits: LIMITS,
  timeShift: () => Number(readFileSync(options.timeFile, 'utf8')),
});
process.on('disconnect', () => process.exit());
process.send?.({ url, instance: services.instance });
await settled;
for (;;) {
  await sleep(RECOVERY_PAUSE_MS);
  // As the service itself, which logs that and tries again a minute later.
  await recover(services).catch((err) => services.log.error({ err }, 'recovery failed'));
}
