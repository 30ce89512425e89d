export type OldTree = 'first' | 'second' | 'revised' | 'open' | 'partial' | 'dropped';

/** What was pushed with version 0.1.0 to make fixtures/store-0.1.0: bytes from a rule, so that the test needs no copy. */
export const OLD_TREES: Record<OldTree, Record<string, string>> = {
  first: {
    ...logs(40),
    'empty file': '',
    'Grüße/ファイル 🎉.txt': 'names are bytes\n',
    "it's -rf ~": 'a name that a shell must not see\n',
    'bin/run.sh': '#!/bin/sh\nexit 0\n',
    'large/trace.log': lines('trace', 40_000),
  },
  second: { ...logs(10), 'only here': 'second\n', 'again/same bytes': line('step', 1) },
  revised: { ...logs(41), 'empty file': '', 'bin/run.sh': '#!/bin/sh\nexit 1\n' },
  open: { ...logs(5), 'not finalized': 'yet\n' },
  partial: { 'sent later': 'by another version\n', 'large/sent later': lines('later', 40_000) },
  dropped: { 'never needed': 'again\n' },
};

/** Path of the one file that was executable. */
export const OLD_EXECUTABLE = 'bin/run.sh';

function logs(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`logs/step-${n}.log`, lines(`step ${n}`, n * 7)]));
}

function lines(word: string, count: number): string {
  return Array.from({ length: count }, (_, n) => line(word, n % 100)).join('');
}

function line(word: string, n: number): string {
  return `${word}: ${n} of some, checked\n`;
}
