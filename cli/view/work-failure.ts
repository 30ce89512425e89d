import { CliError, EXIT } from '../errors.ts';
import { printable } from '../format.ts';

/** What the service did on its own time, and did not bring to its end. */
interface EndedWork {
  id: string;
  state: string;
  error: { detail: string } | null;
}

/** @param name `Sweep` @param kept what is not lost: `what it has done stays done` */
export function workFailure(name: string, { id, state, error }: EndedWork, kept: string): CliError {
  const why = state === 'interrupted' ? 'its service stopped' : (error?.detail ?? 'no reason was given');
  return new CliError(printable(`${name} ${id} did not end: ${why}`), {
    exit: EXIT.failed,
    code: 'failed',
    next: `Run it again: ${kept}.`,
  });
}
