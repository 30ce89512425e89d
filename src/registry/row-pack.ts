/** What SQLite takes as the value of a parameter. */
export type Binding = string | number | bigint | null | Uint8Array;
type Cell = string | number | bigint | null;

/** Rows of a result on their way between threads: names once, and all of their bytes in one buffer. */
export interface RowPack {
  columns: string[];
  /** In a column of bytes: how many. */
  rows: Cell[][];
  /** Columns, by their place, in which there are bytes. */
  inBytes: number[];
  bytes: ArrayBuffer | null;
}

/** @param rows of cells, which may be bytes; they are changed */
export function packRows(columns: string[], rows: unknown[][]): RowPack {
  const inBytes = columns.flatMap((_, column) => (rows.some((row) => isBytes(row[column])) ? [column] : []));
  let size = 0;
  for (const row of rows) for (const column of inBytes) size += (row[column] as Uint8Array | null)?.length ?? 0;
  const bytes = inBytes.length === 0 ? null : new Uint8Array(size);
  let offset = 0;
  for (const row of rows) {
    for (const column of inBytes) {
      const cell = row[column];
      if (cell === null) continue;
      if (!(cell instanceof Uint8Array))
        throw new TypeError(`${columns[column]} has bytes in one row and none in another`);
      bytes?.set(cell, offset);
      offset += cell.length;
      row[column] = cell.length;
    }
  }
  return { columns, rows: rows as Cell[][], inBytes, bytes: bytes?.buffer ?? null };
}

/** The rows as objects. Bytes are parts of the pack's buffer. */
export function unpackRows({ columns, rows, inBytes, bytes }: RowPack): Array<Record<string, unknown>> {
  let offset = 0;
  return rows.map((cells) => {
    const row: Record<string, unknown> = {};
    for (let column = 0; column < columns.length; column += 1) row[columns[column] as string] = cells[column];
    for (const column of inBytes) {
      const size = cells[column];
      if (typeof size !== 'number') continue;
      row[columns[column] as string] = Buffer.from(bytes as ArrayBuffer, offset, size);
      offset += size;
    }
    return row;
  });
}

function isBytes(cell: unknown): boolean {
  return typeof cell === 'object' && cell !== null;
}
