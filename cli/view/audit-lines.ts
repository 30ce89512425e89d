import { parseJson } from '../../src/core/parse-json.ts';
import type { CheckedProof } from '../client/audit/check-proof.ts';
import type { Evidence } from '../client/audit/read-evidence.ts';
import type { LogVerification } from '../client/audit/verify-log.ts';
import type { Outcome } from '../command.ts';
import { CliError, EXIT } from '../errors.ts';
import { countOf, formatCount } from '../format.ts';

/** @param kept how many checkpoints somebody kept */
export function verifiedOutcome(found: LogVerification, kept: number): Outcome {
  const { origin, size, in_storage_only, break: broken } = found;
  const against =
    kept === 0
      ? "the service's own checkpoint. Only a checkpoint that somebody else kept (--checkpoint) shows what its operator changed"
      : `${countOf(kept, 'checkpoint')} that ${kept === 1 ? 'was' : 'were'} kept, and with the service's own`;
  const lines =
    broken === null
      ? [
          `${countOf(size, 'entry', 'entries')} of ${origin}: the audit is what was logged, as compared with ${against}.`,
        ]
      : [`The audit of ${origin} is not what was logged: ${broken.says}.`];
  if (in_storage_only > 0) {
    lines.push(
      `Of ${countOf(in_storage_only, 'entry', 'entries')} the registry has no event, since it was rebuilt or restored: storage has them.`,
    );
  }
  return {
    json: { ok: broken === null, ...found, checkpoints: kept },
    text: lines.join('\n'),
    exit: broken === null ? EXIT.done : EXIT.integrity,
  };
}

/** @param stamp of the checkpoint: the file that has it, and the time that it says, ISO 8601 */
export function checkpointOutcome(
  { note, checkpoint }: Evidence,
  since: Evidence | null,
  stamp: { file: string; at: string } | null,
): Outcome {
  const { origin, size, root } = checkpoint;
  const json = {
    origin,
    size,
    root: root.toString('base64'),
    note,
    since: since?.checkpoint.size ?? null,
    time_stamp: stamp,
  };
  return { json, text: note.trimEnd() };
}

/** @throws CliError integrity_failure: it is the proof of another event */
export function provedOutcome(event: string, text: string, { entry, index, checkpoint }: CheckedProof): Outcome {
  const { id } = JSON.parse(entry) as { id: string };
  if (id !== event) {
    const says = `The service has sent the proof of ${id}, not of ${event}.`;
    throw new CliError(says, { exit: EXIT.integrity, code: 'integrity_failure' });
  }
  return {
    json: { event, index, size: checkpoint.size, origin: checkpoint.origin, proof: text },
    text: text.trimEnd(),
  };
}

export function proofOutcome({ entry, index, checkpoint }: CheckedProof): Outcome {
  const { origin, size } = checkpoint;
  const event = parseJson(entry) as object;
  return {
    json: { ok: true, origin, index, size, event },
    text: `Entry ${formatCount(index)} of the ${formatCount(size)} of ${origin} is:\n${entry}`,
  };
}
