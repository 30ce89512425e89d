import { chmodSync, rmSync } from 'node:fs';
import { bundle } from './bundle.ts';

/** Builds dist/, which `bin` points to: one bundle, since a command that opens 300 modules starts slowly. */
rmSync('dist', { recursive: true, force: true });
await bundle('dist');
chmodSync('dist/cli/bin.js', 0o755);
