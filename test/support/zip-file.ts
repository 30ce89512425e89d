import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of a ZIP file, honest unless it is told to lie. */
export interface ZipEntry {
  name: string;
  content?: string | Buffer;
  deflate?: boolean;
  /** Of Unix, with the type. */
  mode?: number;
  flags?: number;
  method?: number;
  /** Claimed sizes and CRC-32. */
  size?: number;
  packed?: number;
  crc?: number;
  /** Shares the bytes of that entry. */
  sameAs?: number;
}

const UTF8 = 0x0800;

/** A ZIP file of these entries, byte by byte: programs that write such files refuse to write bad ones. */
export function zipFile(entries: readonly ZipEntry[]): Buffer {
  const pieces: Buffer[] = [];
  const directory: Buffer[] = [];
  const offsets: number[] = [];
  let at = 0;
  for (const [index, entry] of entries.entries()) {
    const content = Buffer.from(entry.content ?? '');
    const bytes = entry.deflate ? deflateRawSync(content) : content;
    const name = Buffer.from(entry.name);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(entry.flags ?? UTF8, 2);
    fields.writeUInt16LE(entry.method ?? (entry.deflate ? 8 : 0), 4);
    fields.writeUInt16LE(0x5a21, 8);
    fields.writeUInt32LE(entry.crc ?? crc32(content), 10);
    fields.writeUInt32LE(entry.packed ?? bytes.length, 14);
    fields.writeUInt32LE(entry.size ?? content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    offsets[index] = entry.sameAs === undefined ? at : (offsets[entry.sameAs] as number);
    if (entry.sameAs === undefined) {
      const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, name, bytes]);
      pieces.push(local);
      at += local.length;
    }
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((entry.mode ?? 0o100_644) << 16) >>> 0, 6);
    tail.writeUInt32LE(offsets[index] as number, 10);
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), fields, tail, name);
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...pieces, central, end]);
}

/** @param folder a folder in the file that holds them all; empty: none */
export function zipOf(files: Record<string, string | Buffer>, folder = '', deflate = true): Buffer {
  const names = Object.keys(files);
  return zipFile(names.map((path) => ({ name: `${folder}${path}`, content: files[path] as string | Buffer, deflate })));
}
