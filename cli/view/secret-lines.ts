import type { Json, JsonObject } from '../../src/core/canonical-json.ts';
import { asObject } from '../../src/core/json-fields.ts';
import { SECRETS_MEMBER } from '../../src/core/secret-record.ts';
import type { BaselineOptions } from '../client/push/write-baseline.ts';
import type { Context, Outcome } from '../command.ts';
import { countOf, printable } from '../format.ts';
import type { Line } from './lines.ts';

const SHOWN = 10;

/** Which secrets the push found in the files, if it did. */
export function secretLines(metadata: JsonObject): Line[] {
  const record = asObject(metadata[SECRETS_MEMBER]);
  if (record === null) return [];
  const { count, accepted, by, places } = record;
  const kinds = Object.entries(asObject(by) ?? {}).map(([kind, times]) => `${kind} ${String(times)}`);
  const all: Json[] = Array.isArray(places) ? places : [];
  const shown = all.slice(0, SHOWN).flatMap((place) => sayPlace(asObject(place)));
  const more = Number(count) - shown.length;
  return [
    [
      'secrets',
      `${String(count)} in clear (${kinds.join(', ')}), ${String(accepted)} of them accepted when it was pushed`,
      ...shown,
      ...(more > 0 && shown.length > 0
        ? [`and ${more} more; metadata.${SECRETS_MEMBER} has the first ${all.length}`]
        : []),
    ],
  ];
}

/** Writes down that the secrets now in a directory are accepted, and sends nothing. */
export async function acceptSecrets({ out, signal, env }: Context, options: BaselineOptions): Promise<Outcome> {
  const { writeBaseline } = await import('../client/push/write-baseline.ts');
  const { file, added, findings } = await writeBaseline(options, { signal, env, note: (text) => out.note(text) });
  const { count, places } = findings;
  return {
    json: { baseline: file, added, secret_count: count, secrets: places },
    text:
      added === 0
        ? `${countOf(count, 'secret')} found, all accepted before: nothing was written, and nothing was sent.`
        : [
            `${countOf(added, 'line')} added to ${printable(file)}; nothing was sent.`,
            ...places.map(({ path, line, kind }) => `  ${printable(path)}, line ${line}: ${kind}`),
            'Look through them, then push: accepted secrets are recorded with the package, and no longer warned of.',
          ].join('\n'),
  };
}

function sayPlace(place: JsonObject | null): string[] {
  if (place === null) return [];
  return [`${printable(String(place.path))}, line ${String(place.line)}: ${String(place.kind)}`];
}
