import test from 'ava';
import { crashSuite } from '../suites/crash.ts';
import { CEPH } from '../support/ceph.ts';
import { CrashReplicas } from '../support/crash-replicas.ts';
import { usualOrLong } from '../support/long.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

const ceph = await required('Crashes of the service on PostgreSQL and Ceph', CEPH);
const postgres = ceph && (await required('Crashes of the service on PostgreSQL and Ceph', POSTGRES));

if (ceph && postgres) {
  /** One for all trials, until something goes wrong in it: each finds what those before it have left intact. */
  let shared: CrashReplicas | null = null;

  crashSuite({
    async open() {
      if (shared === null || shared.closed) shared = await CrashReplicas.open(ceph, postgres);
      return shared;
    },
    kills: (phase) => usualOrLong(1 - (phase % 2), 2),
    // The others on SQLite and the folder: test/crash/push.test.ts.
    freezes: (phase) => usualOrLong(phase % 2, 1),
    // One of two parts, and one that need not be read back.
    large: [5 * 1024 ** 2 + 1_000, 100_000],
    keepsUnclean: true,
  });

  test.after.always('the last service ends', () => shared?.close());
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
}
