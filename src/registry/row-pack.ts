/** What SQLite takes as the value of a parameter, and gives as a cell of a result. */
export type Binding = string | number | bigint | null | Uint8Array;
export type Cell = Binding;

/**
 * Rows of a result on their way between threads. To clone a thousand rows cell by cell costs more than to read them, so many go
 * column by column: as one buffer, which is transferred, or as one text.
 */
export type RowPack = { names: string[]; rows: Cell[][] } | { names: string[]; count: number; columns: PackedCells[] };

type PackedCells =
  /** NaN, which SQLite does not have: null. */
  | { numbers: Float64Array<ArrayBuffer> }
  | { text: string; lengths: Int32Array<ArrayBuffer> }
  | { bytes: Uint8Array<ArrayBuffer>; lengths: Int32Array<ArrayBuffer> }
  /** Of several kinds. */
  | { cells: Cell[] };

/** So many rows are worth it. */
const MANY = 8;
/** Stands for a length. */
const NULL = -1;

/** @param rows of cells */
export function packRows(names: string[], rows: Cell[][]): RowPack {
  if (rows.length < MANY) return { names, rows: rows.map((cells) => cells.map(ownBytes)) };
  const columns = names.map((_, column) => packCells(rows.map((row) => row[column] as Cell)));
  return { names, count: rows.length, columns };
}

/** The buffers of a pack, which can be transferred with it. */
export function buffersOf(pack: RowPack): ArrayBuffer[] {
  if ('rows' in pack) return [];
  return pack.columns.flatMap((column) => [
    ...('numbers' in column ? [column.numbers.buffer] : []),
    ...('bytes' in column ? [column.bytes.buffer] : []),
    ...('lengths' in column ? [column.lengths.buffer] : []),
  ]);
}

/** The rows as objects. Bytes are parts of the pack's buffers. */
export function unpackRows(pack: RowPack): Array<Record<string, unknown>> {
  const { names } = pack;
  if ('rows' in pack) {
    return pack.rows.map((cells) => Object.fromEntries(names.map((name, column) => [name, asBuffer(cells[column])])));
  }
  const readers = pack.columns.map(readerOf);
  return Array.from({ length: pack.count }, (_, place) => {
    const row: Record<string, unknown> = {};
    for (let column = 0; column < names.length; column += 1) {
      row[names[column] as string] = (readers[column] as Reader)(place);
    }
    return row;
  });
}

function packCells(cells: Cell[]): PackedCells {
  if (cells.every(isNumber)) return { numbers: numbersOf(cells) };
  if (cells.every(isText)) return { text: cells.join(''), lengths: lengthsOf(cells) };
  if (cells.every(isBytes)) return { bytes: joined(cells), lengths: lengthsOf(cells) };
  return { cells: cells.map(ownBytes) };
}

function isNumber(cell: Cell): cell is number | null {
  return cell === null || typeof cell === 'number';
}

function isText(cell: Cell): cell is string | null {
  return cell === null || typeof cell === 'string';
}

function isBytes(cell: Cell): cell is Uint8Array | null {
  return cell === null || typeof cell === 'object';
}

function numbersOf(cells: ReadonlyArray<number | null>): Float64Array<ArrayBuffer> {
  const numbers = new Float64Array(cells.length);
  for (let i = 0; i < cells.length; i += 1) numbers[i] = cells[i] ?? Number.NaN;
  return numbers;
}

function lengthsOf(cells: ReadonlyArray<string | Uint8Array | null>): Int32Array<ArrayBuffer> {
  const lengths = new Int32Array(cells.length);
  for (let i = 0; i < cells.length; i += 1) lengths[i] = cells[i]?.length ?? NULL;
  return lengths;
}

function joined(cells: ReadonlyArray<Uint8Array | null>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(cells.reduce((size, cell) => size + (cell?.length ?? 0), 0));
  let at = 0;
  for (const cell of cells) {
    if (cell === null) continue;
    bytes.set(cell, at);
    at += cell.length;
  }
  return bytes;
}

/** Gives one cell after the other. */
type Reader = (place: number) => unknown;

function readerOf(column: PackedCells): Reader {
  if ('cells' in column) return (place) => asBuffer(column.cells[place]);
  if ('numbers' in column) {
    const { numbers } = column;
    return (place) => (Number.isNaN(numbers[place]) ? null : numbers[place]);
  }
  const { lengths } = column;
  let end = 0;
  return (place) => {
    const length = lengths[place] as number;
    if (length === NULL) return null;
    end += length;
    return 'text' in column
      ? column.text.slice(end - length, end)
      : Buffer.from(column.bytes.buffer, end - length, length);
  };
}

/** A view would take the whole buffer along that it is a part of. */
export function ownBytes(cell: Cell): Cell {
  return cell instanceof Uint8Array && cell.byteLength < cell.buffer.byteLength ? new Uint8Array(cell) : cell;
}

/** Bytes come through the clone as plain ones. */
function asBuffer(cell: Cell | undefined): unknown {
  return cell instanceof Uint8Array ? Buffer.from(cell.buffer, cell.byteOffset, cell.length) : cell;
}
