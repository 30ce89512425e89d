import { printable } from '../src/core/format.ts';

export { countOf, formatBytes, formatCount, formatSeconds, formatTime, printable } from '../src/core/format.ts';

/** Columns padded to their widest cell; the last one is not padded. `right` names the columns set flush right. */
export function table(texts: ReadonlyArray<readonly string[]>, right: readonly number[] = []): string {
  const rows = texts.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          if (right.includes(column)) return cell.padStart(widths[column] ?? 0);
          return column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
