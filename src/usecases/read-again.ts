import type { ObjectKey } from '../blobs/key-layout.ts';
import { StoreError } from '../core/errors.ts';
import { isSound, type SurveyFindings, type SurveyPlan } from '../core/object-survey.ts';
import type { Services, WithReader } from './services.ts';
import { openStoredObject, type StoredObject } from './stored-object.ts';

/** Called for all bytes that are read, before more are: keeps to a rate, or throws to end the reading. */
export type PassBytes = (count: number) => Promise<void>;

/** How long storage may be silent in the middle of an object, ms. */
const SILENCE_MAX_MS = 60_000;

export interface ReadAgain {
  /** What is wrong: the same bytes came twice, if anything is. */
  findings: SurveyFindings;
  /** Bytes that storage has of it; null: it does not have it. Asked for only when something is wrong. */
  storedSize: number | null;
}

/**
 * Reads an object and holds all of its bytes against what they must be; where they are wrong, a second time.
 * @throws whatever kept it from being read to its end, or from being read twice alike: that says nothing of its bytes
 */
export async function readAgain(
  services: Services<WithReader>,
  object: StoredObject,
  plan: SurveyPlan,
  pass: PassBytes,
): Promise<ReadAgain> {
  const first = await readOnce(services, object, plan, pass);
  if (isSound(first.findings)) return first;
  const second = await readOnce(services, object, plan, pass);
  if (isSound(second.findings)) return second;
  // What is damaged is so each time; what differs went wrong on the way, or it cannot be told where.
  if (first.findings.stored !== second.findings.stored) throw unclear(object, 'storage gave other bytes each time');
  return second;
}

async function readOnce(
  services: Services<WithReader>,
  object: StoredObject,
  plan: SurveyPlan,
  pass: PassBytes,
): Promise<ReadAgain> {
  const { key, version_id: versionId, stored_size: expected } = object;
  const stream = await openStoredObject(services, object);
  let read = 0;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    if (stream === null) return;
    const silence = setTimeout(() => stream.destroy(unclear(object, 'storage stopped in the middle')), SILENCE_MAX_MS);
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        read += chunk.length;
        await pass(chunk.length);
        yield chunk;
        silence.refresh();
      }
    } finally {
      clearTimeout(silence);
      stream.destroy();
    }
  }
  const findings = await services.checker.survey(bytes(), plan);
  if (isSound(findings)) return { findings, storedSize: expected };
  const stat = await services.blobs.objects.stat({ key: key as ObjectKey, versionId });
  // Fewer bytes than storage says that it has were lost on the way. That it has the object and does not give it out is another thing:
  // some gateways say so of what they have lost, for ever.
  if (stream !== null && stat !== null && stat.size !== read)
    throw unclear(object, `${read} of ${stat.size} bytes came`);
  return { findings, storedSize: stat === null ? null : stat.size };
}

function unclear({ key }: StoredObject, why: string): StoreError {
  return new StoreError('unavailable', `${key} could not be read: ${why}.`);
}
