// Preloaded into a command: says on descriptor 3, when it ends, which files and built-in modules it loaded.
const { registerHooks } = require('node:module');
const { writeSync } = require('node:fs');

const files = [];
registerHooks({
  load(url, context, next) {
    files.push(url);
    return next(url, context);
  },
});
process.on('exit', () => {
  const builtins = process.moduleLoadList.filter((entry) => entry.startsWith('NativeModule '));
  writeSync(3, JSON.stringify({ files, builtins: builtins.map((entry) => entry.slice('NativeModule '.length)) }));
});
