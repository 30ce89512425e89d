import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type * as z from 'zod/mini';
import { VERBS } from '../../cli/commands/index.ts';
import { ApiError, toCliError } from '../../cli/errors.ts';
import { inOptionWords } from '../../cli/option-words.ts';
import { CreatePackage, LinkQuery } from '../../src/api/package-requests.ts';
import { reason, text } from '../../src/api/request-fields.ts';
import { PlaceHold } from '../../src/api/retention-requests.ts';
import type { ErrorExtras } from '../../src/core/errors.ts';
import { reasonProblem, TEXT_MAX, textProblem } from '../../src/core/text-problem.ts';

/** What an option may say, held against the wire's schemas; and errors of the service, in the words of options. */

/** The schema says the same of this value, maybe beside something else that is wrong with it. */
function agrees(t: ExecutionContext, problem: string | null, schema: z.ZodMiniType, value: string): void {
  const { error } = schema.safeParse(value);
  const issues = error?.issues.map(({ message }) => message) ?? [];
  t.true(problem === null ? issues.length === 0 : issues.includes(problem), `${problem} of ${JSON.stringify(value)}`);
}

test('the command line refuses the texts that the wire refuses, in the same words', (t) => {
  const odd = fc.constantFrom('\u0000', '\n', '\u0085', '\ud800', '\u007f', ' ', 'é', '😀');
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.array(odd, { maxLength: 12 }).map((all) => all.join('')),
  );
  const property = fc.property(texts, fc.integer({ min: 1, max: 8 }), (value, max) => {
    agrees(t, textProblem(value, max), text(max), value);
    agrees(t, reasonProblem(value), reason, value);
  });
  fc.assert(property, { numRuns: 2_000 });
  for (const value of ['x'.repeat(2_000), 'x'.repeat(2_001), ' '.repeat(3_000)]) {
    agrees(t, reasonProblem(value), reason, value);
  }
});

test('the lengths are those of the wire', (t) => {
  const longest = (schema: z.ZodMiniObject, field: string, max: number): void => {
    const only = schema.shape[field] as z.ZodMiniType;
    t.true(only.safeParse('x'.repeat(max)).success, field);
    t.false(only.safeParse('x'.repeat(max + 1)).success, field);
  };
  longest(CreatePackage, 'name', TEXT_MAX.name);
  longest(CreatePackage, 'producer', TEXT_MAX.producer);
  longest(CreatePackage, 'subject', TEXT_MAX.subject);
  longest(CreatePackage, 'external_id', TEXT_MAX.externalId);
  longest(PlaceHold, 'reference', TEXT_MAX.reference);
  for (const field of ['author', 'workstream_id', 'task_id']) longest(LinkQuery, field, TEXT_MAX.author);
});

function told(
  verbName: string,
  options: object,
  errors: ErrorExtras['errors'],
  code: 'invalid_request' | 'invalid_metadata' = 'invalid_request',
) {
  const verb = VERBS.find(({ name }) => name === verbName);
  if (verb === undefined) throw new Error(verbName);
  const error = toCliError(new ApiError(code, 422, 'The body breaks the schema: x.', { errors }));
  return inOptionWords(error, { verb, args: [], options, common: {} });
}

test('the service’s message about a field names the option that was typed', (t) => {
  const mapped = told('push', { producer: 'x', externalId: 'y' }, [
    { field: 'producer', message: 'must not be empty' },
    { field: 'external_id', message: 'Too big: expected string' },
  ]);
  t.is(mapped.message, '--producer must not be empty.\n--external-id: Too big: expected string.');
  t.like(mapped, { code: 'invalid_request', exit: 2 });
  t.deepEqual(mapped.extras.errors?.constructor, Array, 'what the service said stays in the JSON form');
  const until = told('extend', { until: 'x' }, [{ field: 'expires_at', message: 'Invalid ISO datetime' }]);
  t.is(until.message, '--until: Invalid ISO datetime.');
  const task = told('link', { task: 'x' }, [{ field: 'task_id', message: 'has more than 256 characters' }]);
  t.is(task.message, '--task has more than 256 characters.');
  const member = told(
    'push',
    { metadata: 'f' },
    [{ field: 'metadata.a.b', message: 'is a number' }],
    'invalid_metadata',
  );
  t.is(member.message, '--metadata (its member a.b) is a number.');
});

test('a message about no option is printed unchanged', (t) => {
  const untold = 'The body breaks the schema: x.';
  t.is(told('push', {}, [{ field: 'producer', message: 'x' }]).message, untold);
  t.is(told('push', { producer: 'p' }, [{ field: 'files.0.path', message: 'x' }]).message, untold);
  t.is(told('push', { producer: 'p' }, []).message, untold);
  const verb = VERBS.find(({ name }) => name === 'ls') as (typeof VERBS)[number];
  const other = toCliError(
    new ApiError('package_not_found', 404, 'No.', { errors: [{ field: 'producer', message: 'x' }] }),
  );
  t.is(inOptionWords(other, { verb, args: [], options: { producer: 'p' }, common: {} }), other);
});
