import { access, constants } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';
import type { Requirement } from './required.ts';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

async function place(): Promise<string> {
  for (const path of PLACES) {
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Error('there is none in /usr/bin');
}

/** The browser of the system. As root it has no sandbox of its own around its processes: what pages may do is the same. */
export const CHROMIUM: Requirement<Browser> = {
  what: 'a Chromium',
  how: 'On Debian: apt-get install chromium.',
  async start() {
    const root = process.getuid?.() === 0;
    return chromium.launch({ executablePath: await place(), chromiumSandbox: !root, args: ['--disable-gpu'] });
  },
};
