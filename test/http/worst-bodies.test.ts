import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { apiOf } from '../support/api.ts';
import { turnsOf } from '../support/loop-turns.ts';
import { startTestService } from '../support/service.ts';
import { digestNumber, MANY_PARTS, PART_SIZE, WORST_BODIES } from '../support/worst-bodies.ts';
import type { FromSender, ToSender } from '../support/worst-sender.ts';

/** CPU time. Half of it and less where the core is not shared; beside other test files it takes up to twice as long. */
const LONGEST_TURN_MS = 250;
/** Garbage collection can lengthen a turn by chance, but not every time. */
const TRIES = 3;

test('no request blocks the event loop for long, whatever its body', async (t) => {
  t.timeout(300_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.create();
  const whole = { digest: digestNumber(77), size: MANY_PARTS * PART_SIZE };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'huge', ...whole }] });
  const parts = Array.from({ length: MANY_PARTS }, (_, n) => ({ digest: digestNumber(n), size: PART_SIZE }));
  const planned = await api.post(`/v1/packages/${id}/uploads`, { objects: [{ ...whole, parts }] });
  const upload = planned.body.uploads[0].upload_id as string;
  const sender = new Worker(new URL('../support/worst-sender.ts', import.meta.url));
  t.teardown(() => sender.terminate());
  const send = async (index: number): Promise<FromSender> => {
    const message: ToSender = { index, url: service.url, id, upload };
    sender.postMessage(message);
    return ((await once(sender, 'message')) as [FromSender])[0];
  };
  for (const [index, { what, status }] of WORST_BODIES.entries()) {
    let longest = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < TRIES && longest > LONGEST_TURN_MS; tries += 1) {
      const [answer, turn] = await turnsOf(() => send(index));
      t.is(answer.status, status, `${what}: ${answer.text}`);
      longest = Math.min(longest, turn);
    }
    t.log(`${longest.toFixed(0).padStart(4)} ms  ${what}`);
    t.true(longest <= LONGEST_TURN_MS, `${what}: ${longest} ms`);
  }
});
