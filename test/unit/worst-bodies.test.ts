import test from 'ava';
import { ROUTES } from '../../src/http/routes/index.ts';
import { WORST_BODIES } from '../support/worst-bodies.ts';

test('the worst bodies are those of every call that takes JSON', (t) => {
  const tried = new Set(WORST_BODIES.map(({ operationId }) => operationId));
  const taking = ROUTES.filter(({ body }) => body !== null && body !== 'bytes').map(({ operationId }) => operationId);
  t.deepEqual(
    taking.filter((operationId) => !tried.has(operationId)),
    [],
  );
});
