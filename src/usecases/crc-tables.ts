import { CrcTable } from '../core/crc-table.ts';

/** Five bytes for each member: a dozen archives of a million. */
const BYTES_MAX = 64 * 1024 ** 2;

/** The CRC-32 tables of archives that were read last, in this process: a lost one costs reading its members again, nothing else. */
export interface CrcTables {
  /** @param archive names its content, as its ETag does */
  of(archive: string, members: number): CrcTable;
}

export function crcTables(bytesMax = BYTES_MAX): CrcTables {
  const tables = new Map<string, CrcTable>();
  let bytes = 0;
  return {
    of(archive, members) {
      const known = tables.get(archive);
      const table = known ?? new CrcTable(members);
      if (known) tables.delete(archive);
      else bytes += table.size;
      // The last one used stands last.
      tables.set(archive, table);
      for (const [name, { size }] of tables) {
        if (bytes <= bytesMax || name === archive) break;
        tables.delete(name);
        bytes -= size;
      }
      return table;
    },
  };
}
