import type { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** In the bundle alone: stack traces name the sources. Source maps are read when a stack is first looked at. */
export function nameSources(): void {
  const maps = new Map<string, SourceMap | null>();
  Error.prepareStackTrace = (error, frames) => {
    const lines = frames.map((frame) => `\n    at ${inSource(String(frame), maps)}`);
    return `${headOf(error)}${lines.join('')}`;
  };
}

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return 'Error';
  }
}

/** `main (file:///…/dist/cli/start.js:1:200)` → `main (/…/cli/main.ts:12:3)`; as it is where there is no map. */
function inSource(frame: string, maps: Map<string, SourceMap | null>): string {
  return frame.replace(/(file:\/\/.+\.js):(\d+):(\d+)/, (place, url: string, line: string, column: string) => {
    try {
      if (!maps.has(url)) maps.set(url, readMap(url));
      const found = maps.get(url)?.findOrigin(Number(line), Number(column));
      if (found === undefined || !('fileName' in found)) return place;
      return `${fileURLToPath(new URL(found.fileName, url))}:${found.lineNumber}:${found.columnNumber}`;
    } catch {
      return place;
    }
  });
}

function readMap(url: string): SourceMap | null {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const { SourceMap } = process.getBuiltinModule('node:module');
  try {
    return new SourceMap(JSON.parse(readFileSync(fileURLToPath(`${url}.map`), 'utf8')));
  } catch {
    return null;
  }
}
