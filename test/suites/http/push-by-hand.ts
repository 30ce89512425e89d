import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { apiOf, sha256 } from '../../support/api.ts';
import { blocksOf } from '../../support/page-blocks.ts';
import { processEnv } from '../../support/process-env.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { tempFolder } from '../../support/temp.ts';
import { ADMIN_TOKEN } from '../../support/tokens.ts';
import { writeTree } from '../../support/tree.ts';

const HEADING = '## A push from beginning to end';
/** As small as S3 takes them. */
const PART = 5 * 1024 ** 2;

/** The examples of docs/api.md that push without this software, as they stand on the page. */
export function pushByHandSuite(startTestService: StartTestService): void {
  const limits = { single_part_max: PART, part_size: PART, min_part_size: PART };
  const test = testOfService(startTestService, { limits, env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });

  /**
   * Names that need to be quoted and escaped, bytes that are there twice, none, and more than one part has; and none that the store has
   * from another test: all are sent.
   */
  function newFiles(): Record<string, string | Buffer> {
    const line = `built ${randomBytes(8).toString('hex')}\n`;
    return {
      'summary.json': JSON.stringify({ line }),
      'logs/a b & ü #1?.log': line,
      'logs/the same': line,
      empty: '',
      'large.bin': randomBytes(2 * PART + 12_345),
    };
  }

  async function run(folder: string, program: string, args: string[], url: string): Promise<string> {
    const env = processEnv({ ARTIFACT_STORE_URL: url, ARTIFACT_STORE_TOKEN: ADMIN_TOKEN, TMPDIR: folder });
    return new Promise((done, failed) => {
      execFile(program, args, { cwd: folder, env }, (error, stdout, stderr) => {
        if (error === null && stderr === '') done(stdout);
        else failed(new Error(`${error?.message ?? ''}\n${stdout}\n${stderr}`));
      });
    });
  }

  async function isPushed(
    t: ExecutionContext<{ service: { url: string } }>,
    said: string,
    files: Record<string, string | Buffer>,
  ): Promise<void> {
    const [, id = ''] = /^(pkg_[0-9a-f]{32}) finalized sha256:[0-9a-f]{64}\n$/.exec(said) ?? [];
    t.not(id, '', said);
    const api = apiOf(t.context.service.url, ADMIN_TOKEN);
    const { body } = await api.get(`/v1/packages/${id}/files`);
    t.deepEqual(
      Object.fromEntries(
        body.items.map((file: { path: string; digest: string; state: string }) => [
          file.path,
          [file.digest, file.state],
        ]),
      ),
      Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, [sha256(bytes), 'stored']])),
    );
  }

  test('with curl', async (t) => {
    const folder = await tempFolder(t);
    const files = newFiles();
    await writeTree(join(folder, 'results'), files);
    const blocks = await blocksOf('api.md', 'bash', HEADING);
    const script = blocks.join('').replace(/^auth=\(\) +# (auth=.+)$/m, '$1');
    t.regex(script, /^auth=\(-H /m);
    await writeFile(join(folder, 'push.sh'), script);
    await isPushed(t, await run(folder, 'bash', ['-euo', 'pipefail', 'push.sh'], t.context.service.url), files);
  });

  test('in Python', async (t) => {
    const folder = await tempFolder(t);
    const files = newFiles();
    await writeTree(join(folder, 'results'), files);
    await writeFile(join(folder, 'push.py'), (await blocksOf('api.md', 'python', HEADING)).join(''));
    const args = ['push.py', 'results', 'nightly-build', 'large.bin', 'copy'];
    await isPushed(t, await run(folder, 'python3', args, t.context.service.url), files);
    t.true((await readFile(join(folder, 'copy'))).equals(files['large.bin'] as Buffer));
  });
}
