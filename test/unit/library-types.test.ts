import test from 'ava';
import type * as library from '../../cli/library/client.ts';
import type * as wire from '../../src/api/types.ts';

/** Whether both have the same members, of the same types. */
type Same<A, B> = [A, B] extends [B, A] ? ([keyof A, keyof B] extends [keyof B, keyof A] ? true : false) : false;

test('what the client for programs declares is what the service answers', (t) => {
  // The compiler holds the one against the other: a field more, or fewer, or another type is false.
  const same: [
    Same<library.Package, wire.Package>,
    Same<library.PackageFile, wire.File>,
    Same<library.Retention, wire.Retention>,
    Same<library.RetentionEvent, wire.RetentionEvent>,
    Same<library.Hold, wire.Hold>,
  ] = [true, true, true, true, true];
  t.true(same.every(Boolean));
});
