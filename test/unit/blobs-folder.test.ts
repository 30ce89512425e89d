import test from 'ava';
import { blobStoreSuite } from '../suites/blob-store.ts';
import { openFolderHarness } from '../support/folder-harness.ts';
import { tempFolder } from '../support/temp.ts';

blobStoreSuite(test, {
  name: 'folder',
  guarantees: {
    part_digest_enforced: true,
    completion_exclusive: true,
    object_overwrite_refused: true,
    download_range_enforced: true,
  },
  async open(t) {
    const { store, close } = await openFolderHarness(await tempFolder(t));
    return { store, spool: store.spool, close };
  },
});
