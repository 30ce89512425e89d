import { AUTO_LEVEL } from '../../../src/core/frame-writer.ts';

/** zstd levels; `auto` and a level alike leave uncompressed what would not become smaller. */
export type Compression = 'auto' | 'off' | number;

/** @returns null: nothing is compressed */
export function levelOf(compression: Compression): number | null {
  if (compression === 'off') return null;
  return compression === 'auto' ? AUTO_LEVEL : compression;
}
