import { isMainThread } from 'node:worker_threads';
import loadBundled from './bundled-sources.ts';

// Threads load a few files, less than a layer of the bundle.
if (isMainThread) loadBundled();
