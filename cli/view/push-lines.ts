import type { PushResult } from '../client/push/push.ts';
import type { PushLookOptions } from '../client/push/push-look.ts';
import type { Context, Outcome } from '../command.ts';
import { countOf, formatBytes, formatSeconds, formatTime } from '../format.ts';

/** What a push did, for people. */
export function pushLines(result: PushResult): string {
  const { package_id, status, file_count, total_size, reused, uploaded, seconds } = result;
  const content = `${countOf(file_count, 'file')}, ${formatBytes(total_size)}`;
  const sent = uploaded.objects === 0 ? 'nothing had to be sent' : `${formatBytes(uploaded.bytes)} sent`;
  const what = reused
    ? 'Already preserved, byte for byte'
    : status === 'finalized'
      ? 'Preserved'
      : 'Stored, not finalized';
  return [
    `${what}: ${content} (${sent}, ${formatSeconds(seconds)})`,
    `  package   ${package_id}`,
    ...(result.manifest_digest === null ? [] : [`  manifest  ${result.manifest_digest}`]),
    `  kept      ${result.expires_at === null ? 'forever' : `until ${formatTime(result.expires_at)} at least`}`,
    ...(status === 'finalized'
      ? []
      : [`  next      the same push without --no-finalize, or with --resume ${package_id}, finalizes it`]),
  ].join('\n');
}

/** What a push would send at most. */
export async function dryRun({ out, signal }: Context, options: PushLookOptions): Promise<Outcome> {
  const { lookForPush } = await import('../client/push/push-look.ts');
  const { files, leftOut } = await lookForPush(options, { signal, note: (text) => out.note(text) });
  return {
    json: { dry_run: true, file_count: files.length, total_size: files.totalBytes, left_out: leftOut },
    text: `${countOf(files.length, 'file')}, ${formatBytes(files.totalBytes)}: all of them can be pushed.`,
  };
}
