import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { EXIT } from '../errors.ts';
import { parseStatehub, parseText } from '../view/options.ts';

interface Options {
  author?: string;
  workstream?: string;
  task?: string;
  post?: string;
}

export const link = defineVerb<Options>({
  name: 'link',
  summary: 'print the progress event for Statehub; --post sends it',
  description:
    "Prints the body of Statehub's POST /progress/ for a package: ids, digests and a summary, never bytes. --post sends it.",
  examples: ['link run-20260513T210255Z', 'link PACKAGE --post https://statehub.example --workstream ws-7'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [
    { flags: '--author <name>', description: 'who reports it (artifact-store)', parse: parseText(TEXT_MAX.author) },
    {
      flags: '--workstream <id>',
      description: "the event's workstream_id",
      field: 'workstream_id',
      parse: parseText(TEXT_MAX.author),
    },
    { flags: '--task <id>', description: "the event's task_id", field: 'task_id', parse: parseText(TEXT_MAX.author) },
    { flags: '--post <url>', description: 'post it to this Statehub: URL/progress/', parse: parseStatehub },
  ],
  async run(context, [named = ''], options) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const found = await client.link(pkg.id, {
      author: options.author,
      workstream_id: options.workstream,
      task_id: options.task,
    });
    const statehub = options.post;
    if (statehub === undefined) return { json: found, text: JSON.stringify(found.event, null, 2) };
    const { DEFAULT_POST_OPTIONS, postEvent } = await import('../statehub.ts');
    const { progressUrl } = await import('../statehub-url.ts');
    const outcome = await postEvent(statehub, found.event, DEFAULT_POST_OPTIONS, client.connections);
    const json = { ...found, statehub: outcome };
    if (outcome.posted) return { json, text: `Posted ${pkg.id} to ${progressUrl(statehub)}.` };
    context.out.warn(`Not posted: ${outcome.error}.`);
    return { json, exit: EXIT.failed };
  },
});
