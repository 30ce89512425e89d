import type { ExecutionContext } from 'ava';
import { startServiceProcess } from '../bench/service-process.ts';
import { apiOf } from '../support/api.ts';
import { builtBin } from '../support/built.ts';
import { getLarge, type LargeBody, largeBody, putLarge } from '../support/large-body.ts';
import { usualOrLong } from '../support/long.ts';
import { tempFolder } from '../support/temp.ts';

/** What the service may need at most, whatever the size of a file (docs/performance.md): less than the files here. */
const MEMORY_MAX = 250e6;
const ATTEMPTS = 3;

/**
 * One file through the built service, a process of its own: in without a digest, in with one, and out. 4 GiB are measured by
 * test/bench/service.ts; memory that grows with the file would show with a tenth of them.
 */
export async function passLargeFiles(
  t: ExecutionContext,
  bodies: { plain: LargeBody; announced: LargeBody },
  env: Record<string, string>,
): Promise<void> {
  const service = await startServiceProcess(
    { ARTIFACT_STORE_DATA_DIR: await tempFolder(t), ...env },
    await builtBin(t),
  );
  t.teardown(() => service.stop());
  const api = apiOf(service.url);
  const id = await api.create();
  const atRest = service.peakMemory() * 1024 ** 2;
  /** How late garbage is collected is chance, what a file needs is not: of some attempts the least counts. */
  const measured = async (what: string, act: (attempt: number) => Promise<void>): Promise<void> => {
    const peaks: number[] = [];
    while (peaks.length < ATTEMPTS && peaks.every((peak) => peak >= MEMORY_MAX)) {
      await service.forget();
      await act(peaks.length);
      peaks.push(service.peakMemory() * 1024 ** 2);
    }
    const told = peaks.map((peak) => Math.round(peak / 1e6)).join(', ');
    t.log(`${what}: ${told} MB, ${Math.round(atRest / 1e6)} MB at rest`);
    t.true(Math.min(...peaks) < MEMORY_MAX, `${what}: ${told} MB`);
  };
  const path = (name: string): string => `${service.url}/v1/packages/${id}/files/${name}`;
  const { plain, announced } = bodies;
  await measured(`PUT of ${plain.size} bytes`, async (attempt) => {
    const { status, answer } = await putLarge(path(`plain-${attempt}`), plain);
    t.is(status, 201, answer);
    t.is(JSON.parse(answer).digest, plain.digest);
  });
  await measured(`PUT of ${announced.size} bytes with their digest`, async (attempt) => {
    const { status, answer } = await putLarge(path(`announced-${attempt}`), announced, `?digest=${announced.digest}`);
    t.is(status, 201, answer);
  });
  await measured(`GET of ${plain.size} bytes`, async () => {
    t.is(await getLarge(`${path('plain-0')}?redirect=false`), plain.digest);
  });
  t.is(await getLarge(`${path('announced-0')}?redirect=false`), announced.digest);
}

const MIB = 1024 ** 2;
/** Much more than the service may need. */
const LARGE = usualOrLong(320 * MIB, 1024 * MIB);

/** @param announced how many bytes come with their digest */
export function largeBodies(announced = LARGE): { plain: LargeBody; announced: LargeBody } {
  return { plain: largeBody(LARGE, 1), announced: largeBody(announced, 2) };
}
