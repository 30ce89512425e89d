import { readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config.ts';
import { startService } from '../../src/server.ts';
import { crashPoint } from './crash-point.ts';
import { watchRemoteEffects } from './remote-effects.ts';

/** The real service on PostgreSQL and S3, as a process of its own that dies or freezes at an effect (remote-effects.ts). */
export interface CrashReplicaOptions {
  env: Record<string, string>;
  acknowledged: string;
  /** Holds the milliseconds to add to the registry's time. */
  timeFile: string;
}

const MIB = 1024 ** 2;

const options = JSON.parse(process.argv[2] as string) as CrashReplicaOptions;
const { request, effect, serve } = crashPoint(options.acknowledged);

/** A commit reads back what it cannot vouch for. */
const readsBack = (asked: string | null): boolean => /^GET .*\/objects\/[^?]*(\?(?!.*uploadId=)|$)/.test(asked ?? '');
watchRemoteEffects(
  () => request() || undefined,
  (whom, { asked }) => effect(whom, readsBack(asked)),
);

serve(
  await startService(loadConfig({ ARTIFACT_STORE_LOG_LEVEL: 'silent', ...options.env }), {
    // Parts and packs as small as may be, so that a small push has every phase several times.
    limits: {
      single_part_max: 5 * MIB,
      part_size: 5 * MIB,
      pack_member_max: 8 * 1024,
      pack_target: 16 * 1024,
      pack_members_max: 3,
    },
    timeShift: () => Number(readFileSync(options.timeFile, 'utf8')),
  }),
);
