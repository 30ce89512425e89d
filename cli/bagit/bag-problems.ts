import { CliError, EXIT } from '../errors.ts';
import { formatCount } from '../format.ts';

const SHOWN = 100;
const REPAIR = 'Ask whoever made the bag for a whole one: nothing was sent.';

/** What stands in a bag is no bag, or none that is taken. @param message a sentence that names the file, and the line where there is one */
export function badBag(message: string, next?: string): CliError {
  return new CliError(message, { exit: EXIT.failed, code: 'bag_invalid', next });
}

/** The bytes of an entry of a ZIP file are not those that were put in. @param why a clause */
export function damagedZip(why: string): CliError {
  return new CliError(`The ZIP file is damaged: ${why.replace(/\.+$/, '')}.`, {
    exit: EXIT.integrity,
    code: 'integrity_failure',
    next: `If it was copied, copy it again. ${REPAIR}`,
  });
}

/** How a file of a bag is not what its manifests say. */
export interface BagDamage {
  /** In the bag. */
  path: string;
  how: 'missing' | 'unlisted' | 'changed' | 'wrong_total';
  /** A sentence. */
  detail: string;
}

/** Everything that is damaged in a bag, so that its maker hears of all at once. */
export class BagDamages {
  readonly #first: BagDamage[] = [];
  #count = 0;

  add(damage: BagDamage): void {
    this.#count += 1;
    if (this.#first.length < SHOWN) this.#first.push(damage);
  }

  /** @throws CliError integrity_failure that tells them all */
  assertNone(): void {
    const [first] = this.#first;
    if (first === undefined) return;
    const more = this.#count - this.#first.length;
    const lines =
      this.#count === 1
        ? [first.detail]
        : [
            `The bag is not whole: ${formatCount(this.#count)} things differ from what it says of itself.`,
            ...this.#first.map(({ detail }) => `  ${detail}`),
            ...(more === 0 ? [] : [`  and ${formatCount(more)} more`]),
          ];
    throw new CliError(lines.join('\n'), {
      exit: EXIT.integrity,
      code: 'integrity_failure',
      next: REPAIR,
      extras: { path: first.path, problem_count: this.#count, problems: this.#first },
    });
  }
}
