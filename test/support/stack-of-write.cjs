// Preloaded into a command: its first write to stdout tells on stderr which way it came.
const { writeSync } = require('node:fs');

const { stdout } = process;
const write = stdout.write;
stdout.write = function (...args) {
  stdout.write = write;
  writeSync(2, new Error('the way of a write').stack);
  return write.apply(this, args);
};
