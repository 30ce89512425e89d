import { setTimeout as sleep } from 'node:timers/promises';
import type { StartSweep, Sweep } from '../../src/api/types.ts';
import type { Api } from './api.ts';

/** Begins a sweep. @returns what it found, when it has ended */
export async function sweepOf(api: Api, options: StartSweep = {}): Promise<Sweep> {
  const { status, body } = await api.post('/v1/operations/sweeps', options);
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
  return sweepsEnded(api, body.id);
}

export async function sweepsEnded(api: Api, id: string): Promise<Sweep> {
  for (;;) {
    const { body } = await api.get(`/v1/operations/sweeps/${id}`);
    if (body.state !== 'running') return body;
    await sleep(10);
  }
}
