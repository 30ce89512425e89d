import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';

/** Builds dist/, which `bin` points to: Node does not strip types inside node_modules. */
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
const bin = 'dist/cli/bin.js';
if (existsSync(bin)) chmodSync(bin, 0o755);
