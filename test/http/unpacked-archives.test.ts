import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { ARCHIVE_TOOLS, unpackersOf, unpackWith } from '../support/archive-tools.ts';
import { ARCHIVED, archiveUrl, download, MTIME, preserved } from '../support/archives.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const tools = await required('Unpacking archives', ARCHIVE_TOOLS);

if (tools) {
  test('every program unpacks what was stored: names, bytes, modes and times', async (t) => {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const id = await preserved(api);
    const { finalized_at } = (await api.get(`/v1/packages/${id}`)).body;
    const folder = await tempFolder(t);
    const expected = Object.entries(ARCHIVED).map(([path, bytes]) => [path, sha256(bytes).slice(7)]);
    for (const format of ['tar', 'tar.zst', 'zip']) {
      const came = await download(archiveUrl(service.url, id, `format=${format}`));
      t.is(came.status, 200);
      t.true(came.whole);
      const file = join(folder, `archive.${format}`);
      await writeFile(file, came.bytes);
      for (const tool of unpackersOf(format)) {
        const what = `${tool} of ${format}`;
        const into = join(folder, what);
        await unpackWith(tool, format, file, into);
        t.deepEqual(await readTree(into), Object.fromEntries(expected), what);
        // Python's zipfile knows no times and no modes; 7z sets modes of zip alone.
        if (what === 'python of zip') continue;
        const { mode, mtimeMs } = await stat(join(into, 'a/b/c.txt'));
        t.is(Math.floor(mtimeMs / 1_000), Math.floor(Date.parse(MTIME) / 1_000), what);
        t.is(mode & 0o111, 0, what);
        const script = await stat(join(into, 'tools/run.sh'));
        t.is(Math.floor(script.mtimeMs / 1_000), Math.floor(Date.parse(finalized_at) / 1_000), what);
        if (what !== '7z of tar') t.is(script.mode & 0o100, 0o100, what);
      }
    }
  });
}
