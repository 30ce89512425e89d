#!/usr/bin/env node
// Runs on whatever Node the machine has, so that an old one gets a sentence instead of a syntax error: no syntax newer
// than Node 12 here, no import but the dynamic one.
// Its agents speak to proxies from 24.5 on.
const MAJOR = 24;
const MINOR = 5;
const version = process.versions.node.split('.');

if (Number(version[0]) < MAJOR || (Number(version[0]) === MAJOR && Number(version[1]) < MINOR)) {
  console.error(
    'artifact-store needs Node.js ' +
      MAJOR +
      '.' +
      MINOR +
      ' or newer, but this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').',
  );
  process.exitCode = 1;
} else {
  // Only `main` gives exit code 0: a process that runs out of things to wait for has not finished its work.
  process.once('beforeExit', () => {
    console.error('artifact-store: The command ended before its work was done, which is a defect: please report it.');
    process.exit(1);
  });
  // Node would print the line that threw: of a bundle that is a screen full.
  process.once('uncaughtException', (error) => {
    console.error(`artifact-store: ${error instanceof Error ? error.stack : error}`);
    console.error('This is a defect of artifact-store: please report it, with the lines above.');
    process.exit(1);
  });
  import('./compile-cache.ts')
    .then((module) => module.keepCompiled(process.env))
    .then(() => import('./main.ts'))
    .then((module) => module.main(process))
    .then((code) => process.exit(code));
}
