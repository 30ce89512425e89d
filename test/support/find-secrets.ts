import { type FoundSecret, findSecrets } from '../../cli/client/secrets/find-secrets.ts';
import { newSuspicion } from '../../cli/client/secrets/suspicion.ts';

const suspect = newSuspicion();

/** Looks through a file as a reading thread does. @param pieces how its bytes come; as one when omitted */
export async function secretsIn(content: Buffer, pieces: readonly Buffer[] = [content]): Promise<FoundSecret[]> {
  const suspicion = suspect(content.length);
  for (const piece of pieces) suspicion.take(piece);
  const found = await findSecrets((start, end) => content.subarray(start, end), content.length, suspicion.spans());
  if (found === null) throw new Error('bytes that are there were not read');
  return found;
}
