import type * as wire from '../../../src/api/types.ts';
import type { JsonCalls, PageQuery } from './json-calls.ts';

export type OperationCalls = ReturnType<typeof operationCalls>;

/** What operators ask of a service, and have it do. */
export function operationCalls(calls: JsonCalls) {
  return {
    /** Also when the service says that it is not ready. */
    readiness: (): Promise<wire.Readiness> =>
      calls.json({ method: 'GET', path: '/readyz', answers: [503], answer: 'readiness' }),

    diagnosis: (): Promise<wire.Diagnosis> => calls.get('diagnosis', '/v1/diagnosis'),

    /** What producers use, and may use. */
    quotas: (query: PageQuery & { producer?: string | undefined } = {}): Promise<wire.QuotaList> =>
      calls.list('quotas', '/v1/quota', { ...query }),

    startSweep: (body: wire.StartSweep): Promise<wire.Sweep> =>
      calls.post('sweep', '/v1/operations/sweeps', body, { once: true }),

    sweep: (id: string): Promise<wire.Sweep> => calls.get('sweep', `/v1/operations/sweeps/${encodeURIComponent(id)}`),

    fixity: (): Promise<wire.Fixity> => calls.get('fixity', '/v1/operations/fixity'),

    startFixity: (body: wire.StartFixity): Promise<wire.FixityRun> =>
      calls.post('fixityRun', '/v1/operations/fixity', body, { once: true }),

    fixityRun: (id: string): Promise<wire.FixityRun> =>
      calls.get('fixityRun', `/v1/operations/fixity/${encodeURIComponent(id)}`),

    planRepairs: (objects: wire.PlanUploads['objects']): Promise<wire.PlannedUploads> => {
      const items = objects.reduce((sum, { parts }) => sum + 1 + (parts?.length ?? 1), 0);
      return calls.post('planned', '/v1/operations/repairs', { objects }, { items });
    },

    repairManifests: (): Promise<wire.RepairedManifests> =>
      calls.post('repairedManifests', '/v1/operations/repairs/manifests', undefined),
  };
}
