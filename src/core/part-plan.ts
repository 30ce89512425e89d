import type { Digest } from './digest.ts';
import { StoreError } from './errors.ts';
import type { Limits } from './limits.ts';

const MIB = 1024 ** 2;

export interface PlannedPart {
  /** 1, 2, 3 … as S3 counts. */
  number: number;
  digest: Digest;
  offset: number;
  size: number;
}

type PartLimits = Pick<Limits, 'single_part_max' | 'part_size' | 'min_part_size' | 'max_parts' | 'object_size_max'>;

/**
 * Bytes per part for an object of `size` bytes: what the client cuts by. One part up to single_part_max; parts of the largest
 * objects have more than that, or there would be too many.
 */
export function partSizeFor(size: number, limits: PartLimits): number {
  if (size <= limits.single_part_max) return size;
  const least = Math.ceil(size / limits.max_parts);
  const step = Math.min(MIB, limits.part_size);
  return least <= limits.part_size ? limits.part_size : Math.ceil(least / step) * step;
}

/**
 * The parts of a planned object, checked: they sum to the size, none but the last is smaller than storage takes, and
 * one part alone has the object's digest. `parts` may be left out for one part.
 * @param object what is sent; `of` the object that it is the stored form of, should it be one
 * @throws StoreError parts_required, invalid_parts, size_mismatch
 */
export function checkParts(
  object: {
    digest: Digest;
    size: number;
    parts?: ReadonlyArray<{ digest: Digest; size: number }> | undefined;
    of?: Digest | undefined;
  },
  limits: PartLimits,
): PlannedPart[] {
  const { digest, size, of = digest } = object;
  const bytes = object.of === undefined ? 'bytes' : 'stored bytes';
  if (size > limits.object_size_max) throw tooLarge(of, size, limits.object_size_max);
  const parts = object.parts ?? [{ digest, size }];
  if (object.parts === undefined && size > limits.single_part_max) {
    throw new StoreError(
      'parts_required',
      `${of} has ${size} ${bytes}, more than one part may have (${limits.single_part_max}): list its parts.`,
      { digest: of },
    );
  }
  const wrong = (reason: string) => new StoreError('invalid_parts', `The parts of ${of} ${reason}.`, { digest: of });
  if (parts.length === 0) throw wrong('are an empty list: omit it for a single part');
  if (parts.length > limits.max_parts) throw wrong(`are ${parts.length}; at most ${limits.max_parts} are accepted`);
  const largest = Math.max(limits.single_part_max, partSizeFor(size, limits));
  const planned: PlannedPart[] = [];
  let offset = 0;
  for (const [index, part] of parts.entries()) {
    const number = index + 1;
    if (part.size === 0) throw wrong(`include the empty part ${number}`);
    if (part.size > largest) {
      throw wrong(`include part ${number} of ${part.size} bytes; a part has at most ${largest}`);
    }
    if (number < parts.length && part.size < limits.min_part_size) {
      throw wrong(`include part ${number} of ${part.size} bytes; all but the last need ${limits.min_part_size}`);
    }
    planned.push({ number, digest: part.digest, offset, size: part.size });
    offset += part.size;
  }
  if (offset !== size) throw wrong(`sum to ${offset} bytes, but the object has ${size} ${bytes}`);
  if (planned.length === 1 && planned[0]?.digest !== digest) throw wrong('are a single part with another digest');
  return planned;
}

export function tooLarge(digest: Digest, size: number, max: number): StoreError {
  return new StoreError('size_mismatch', `${digest} has ${size} bytes: at most ${max} are accepted.`, { digest });
}
