import test from 'ava';
import fc from 'fast-check';
import { allows, everything, grantProblem, isScope, isWithin, SCOPES } from '../../src/core/scopes.ts';

const scopes = fc.subarray([...SCOPES], { minLength: 1 });
const producers = fc.option(fc.subarray(['a', 'b', 'c'], { minLength: 1 }), { nil: null });
const grants = fc.record({ scopes, producers });

test('a grant allows the scopes that it has, and the whole store only without a limit', (t) => {
  for (const scope of SCOPES) {
    t.true(allows({ scopes: [scope], producers: null }, scope));
    t.is(allows({ scopes: [scope], producers: ['a'] }, scope), scope !== 'operator');
    t.false(allows({ scopes: SCOPES.filter((each) => each !== scope), producers: null }, scope));
  }
});

test('everything is within everything, and nothing more than itself is within a grant', (t) => {
  fc.assert(
    fc.property(grants, grants, fc.constantFrom(...SCOPES), (inner, outer, scope) => {
      if (!isWithin(inner, everything('admin'))) return false;
      if (!isWithin(inner, outer)) return true;
      const sees = (grant: typeof inner, producer: string) => grant.producers?.includes(producer) ?? true;
      return (
        (!allows(inner, scope) || allows(outer, scope)) &&
        ['a', 'b', 'c', 'd'].every((producer) => !sees(inner, producer) || sees(outer, producer))
      );
    }),
  );
  t.true(isWithin({ scopes: SCOPES, producers: null }, everything('admin')));
  t.false(isWithin({ scopes: ['packages:read'], producers: null }, { scopes: SCOPES, producers: ['a'] }));
  t.false(isWithin({ scopes: ['packages:delete'], producers: ['a'] }, { scopes: ['packages:read'], producers: null }));
});

test('what no credential can have', (t) => {
  t.regex(grantProblem({ scopes: [], producers: null }) ?? '', /no scope/);
  t.regex(grantProblem({ scopes: ['packages:read'], producers: [] }) ?? '', /no producer/);
  t.regex(grantProblem({ scopes: ['operator'], producers: ['a'] }) ?? '', /operator/);
  t.is(grantProblem({ scopes: SCOPES, producers: null }), null);
});

test('only these are scopes', (t) => {
  for (const scope of SCOPES) t.true(isScope(scope));
  for (const other of ['', 'packages', 'packages:*', 'Operator', 'toString']) t.false(isScope(other));
});
