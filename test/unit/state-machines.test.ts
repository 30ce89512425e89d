import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/core/errors.ts';
import { nextStatus, PACKAGE_STATUSES, type PackageEvent, type PackageStatus } from '../../src/core/package-state.ts';
import { canMove, isFinal, UPLOAD_STATES, type UploadState } from '../../src/core/upload-state.ts';

const EVENTS: PackageEvent[] = ['register', 'finalize', 'fail', 'delete'];

const pkg = (status: PackageStatus, sealed = false) => ({ id: 'pkg_x', status, sealed_at: sealed ? 1 : null });

const LEGAL: Array<[PackageStatus, PackageEvent, PackageStatus]> = [
  ['created', 'register', 'uploading'],
  ['created', 'finalize', 'finalized'],
  ['created', 'fail', 'failed'],
  ['created', 'delete', 'deleted'],
  ['uploading', 'register', 'uploading'],
  ['uploading', 'finalize', 'finalized'],
  ['uploading', 'fail', 'failed'],
  ['uploading', 'delete', 'deleted'],
  ['finalized', 'delete', 'deleted'],
  ['failed', 'delete', 'deleted'],
];

test('a package takes exactly the legal transitions', (t) => {
  for (const status of PACKAGE_STATUSES) {
    for (const event of EVENTS) {
      const legal = LEGAL.find(([from, on]) => from === status && on === event);
      if (legal) t.is(nextStatus(pkg(status), event), legal[2]);
      else t.true(isStoreError(t.throws(() => nextStatus(pkg(status), event))), `${status} ${event}`);
    }
  }
});

test('the refusal says what the package is', (t) => {
  t.true(
    isStoreError(
      t.throws(() => nextStatus(pkg('deleted'), 'register')),
      'package_deleted',
    ),
  );
  t.true(
    isStoreError(
      t.throws(() => nextStatus(pkg('failed'), 'register')),
      'package_failed',
    ),
  );
  t.true(
    isStoreError(
      t.throws(() => nextStatus(pkg('finalized'), 'register')),
      'package_sealed',
    ),
  );
});

test('a sealed package changes no file and can neither fail nor be deleted, but be finalized', (t) => {
  for (const event of ['register', 'fail', 'delete'] as const) {
    t.true(
      isStoreError(
        t.throws(() => nextStatus(pkg('uploading', true), event)),
        'package_sealed',
      ),
    );
  }
  t.is(nextStatus(pkg('uploading', true), 'finalize'), 'finalized');
  t.is(nextStatus(pkg('finalized', true), 'delete'), 'deleted');
});

test('deleted is the end, whatever comes', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS)), (events) => {
      let status: PackageStatus = 'created';
      for (const event of events) {
        const before: PackageStatus = status;
        try {
          status = nextStatus(pkg(status), event);
        } catch {
          status = before;
        }
        if (before === 'deleted') t.is(status, 'deleted');
        if (before === 'finalized') t.true(status === 'finalized' || status === 'deleted');
      }
    }),
  );
});

test('an upload never both completes and aborts, on any way through its states', (t) => {
  const walk = (state: UploadState, seen: UploadState[]): void => {
    const path = [...seen, state];
    t.false(path.includes('completing') && path.includes('aborting'), path.join(' → '));
    t.is(new Set(path).size, path.length, 'no state twice');
    const next = UPLOAD_STATES.filter((to) => canMove(state, to));
    t.is(next.length === 0, isFinal(state));
    for (const to of next) walk(to, path);
  };
  walk('open', []);
});
