import { createHash, type Hash } from 'node:crypto';
import { digestFromBytes } from './digest.ts';
import type { PlannedPart } from './part-plan.ts';

/** Hashes bytes part by part while they come by, so that nothing is read twice to cut it. */
export interface PartCutter {
  update(bytes: Uint8Array): void;
  /** The parts of all that came; none of nothing. Call it once. */
  end(): PlannedPart[];
}

/** @param partSize bytes of every part but the last */
export function partCutter(partSize: number): PartCutter {
  const parts: PlannedPart[] = [];
  let hash: Hash | null = null;
  let size = 0;
  let offset = 0;
  const close = (): void => {
    if (hash === null) return;
    parts.push({ number: parts.length + 1, digest: digestFromBytes(hash.digest()), offset, size });
    offset += size;
    size = 0;
    hash = null;
  };
  return {
    update(bytes) {
      for (let done = 0; done < bytes.length; ) {
        hash ??= createHash('sha256');
        const piece = bytes.subarray(done, done + partSize - size);
        hash.update(piece);
        size += piece.length;
        done += piece.length;
        if (size === partSize) close();
      }
    },
    end() {
      close();
      return parts;
    },
  };
}
