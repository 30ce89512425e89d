import { readFileSync } from 'node:fs';

/** The package's version: package.json stands one folder up from the sources, two from dist/. */
function readVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (name === 'artifact-store') return version;
    } catch {}
  }
  return '0.0.0';
}

export const VERSION: string = readVersion();
