/** What a service does beside its answers, for /readyz, the log and the metrics. */
export const WORK_NAMES = [
  'identity',
  'probe',
  'leftovers',
  'recovery',
  'registry_check',
  'locks',
  'audit_log',
  'time_stamps',
  'sweep_schedule',
  'sweep',
  'fixity',
  'fixity_run',
  'webhooks',
  'webhook',
] as const;
export type WorkName = (typeof WORK_NAMES)[number];
