import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { findConflict, parseLogicalPath } from '../../src/core/logical-path.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { openRegistry } from '../../src/registry/registry.ts';

test('paths against those of the package: the registry decides as the pure rule does', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'artifact-store-files-'));
  const registry = await openRegistry(connectSqlite(join(dir, 'registry.sqlite')));
  await registry.transaction((tables) => tables.retention.syncClasses({ 'raw-evidence': 90 }));
  const names = ['a', 'b', 'a!', 'a0', 'ab', 'é', 'e\u0301'];
  const path = fc
    .array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 })
    .map((parts) => parseLogicalPath(parts.join('/')));
  let nth = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(path, { maxLength: 8 }),
      fc.uniqueArray(path, { minLength: 1, maxLength: 4 }),
      async (standing, coming) => {
        // Only what could stand in one package, and none of the new paths already.
        fc.pre(findConflict(standing) === null && findConflict(coming) === null);
        fc.pre(!coming.some((one) => standing.includes(one)));
        const id = `pkg_${String(nth++).padStart(32, '0')}` as PackageId;
        const pkg = {
          id,
          name: 'n',
          producer: 'p',
          subject: null,
          external_id: null,
          metadata: {},
          metadata_text: '{}',
          retention_class: 'raw-evidence',
          retention_days: 90,
          expires_at: 1,
          supersedes: null,
          created_by: 't',
          created_at: 1,
        };
        const facts = {
          digest: digestOf('x'),
          size: 1,
          media_type: 'a/b',
          mtime: null,
          executable: false,
          proven: false,
        };
        await registry.transaction(async ({ packages, files }) => {
          await packages.insert(pkg);
          if (standing.length === 0) return;
          await files.put(
            id,
            standing.map((one) => ({ path: one, ...facts })),
          );
        });
        const found = await registry.read.files.findConflict(id, coming);
        t.is(
          found !== null,
          findConflict([...standing, ...coming]) !== null,
          JSON.stringify({ standing, coming, found }),
        );
        if (found) {
          t.true(coming.includes(found.path) && standing.includes(found.other));
          t.not(findConflict([found.path, found.other]), null);
        }
      },
    ),
    { numRuns: 300 },
  );
  await registry.close();
  await rm(dir, { recursive: true });
});
